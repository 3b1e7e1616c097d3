/** The seed of all ids and handles: made of the configuration and, where there is one, a secret. */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  linkSync,
  openSync,
  readSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config/index.ts';
import type { Logger } from '../log/index.ts';
import { seedWithSecret } from '../tree/identity.ts';
import { makeFolder } from './folder.ts';

export interface Seed {
  readonly text: string;
  /** Whether the seed is known to gateways only. */
  readonly secret: boolean;
}

type SeedConfig = Pick<Config, 'identity' | 'ownIdentity' | 'secret' | 'state'>;

/**
 * A configured secret comes first. An `identity` from the configuration is the whole seed, so that gateways which share
 * it keep their handles. Otherwise a secret is made once and kept in `state`. Blocks: for start-up only.
 */
export function seedOf({ identity, ownIdentity, secret, state }: SeedConfig, log: Logger): Seed {
  if (secret) return { text: seedWithSecret(identity, secret.reveal()), secret: true };
  if (!ownIdentity && state !== undefined)
    return { text: seedWithSecret(identity, keptSecret(state)), secret: true };
  const who = ownIdentity ? 'whoever knows `identity`' : 'others';
  log.info(
    `No secret is set: ${who} could guess NFS handles, so each call is checked more slowly. Set \`secretFile\`, or run \`holdfast init\`.`,
  );
  return { text: identity, secret: false };
}

const fileName = 'secret';
const bytes = 32;

/** Returns the secret of the folder; makes it when there is none. Throws when it cannot be read, or when others have access. */
export function keptSecret(folder: string): string {
  makeFolder(folder);
  const path = join(folder, fileName);
  try {
    return readSecret(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const staged = `${path}.${randomBytes(6).toString('hex')}.new`;
  const descriptor = openSync(staged, 'wx', 0o600);
  try {
    writeSync(descriptor, `${randomBytes(bytes).toString('hex')}\n`);
    fsyncSync(descriptor);
    // Unlike a rename, a link does not replace the secret that another gateway has just made.
    linkSync(staged, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    closeSync(descriptor);
    unlinkSync(staged);
  }
  return readSecret(path);
}

function readSecret(path: string): string {
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const { mode, uid } = fstatSync(descriptor);
    if ((mode & 0o077) !== 0 || uid !== process.geteuid!())
      throw new Error(
        `${path} can be read or changed by others: expected a file of this user with mode 0600`,
      );
    const buffer = Buffer.alloc(bytes * 2 + 2);
    const text = buffer.toString('latin1', 0, readSync(descriptor, buffer));
    const [, digits] = /^([0-9a-f]{64})\n?$/.exec(text) ?? [];
    if (digits === undefined) throw new Error(`${path} does not hold ${bytes * 2} hexadecimal digits`);
    return digits;
  } finally {
    closeSync(descriptor);
  }
}
