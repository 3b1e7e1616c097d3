/** Keeps each unfinished SMB directory scan in a small file, so that the next process can continue it. */
import { lstatSync, readdirSync, rmSync, statSync } from 'node:fs';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ScanStore, SuspendedScan } from '@tsmb2/server';
import { z } from 'zod';
import type { Logger } from '../log/index.ts';
import { makeFolder } from './folder.ts';
import { uniqueSuffix } from './unique-suffix.ts';

/** Files older than this, in ms, are deleted at start-up: their clients have given up. */
const keepMs = 3_600_000;
const prefix = 'scan-';

const text = z.string().max(4096);
const mask = z.number().int().nonnegative();
/** Checks a file that may come from another version of this program. */
const suspendedScan: z.ZodType<SuspendedScan> = z.object({
  clientGuid: text,
  userName: text,
  share: text,
  path: z.array(text).max(4096),
  alias: z
    .string()
    .regex(/^\d{1,20}$/)
    .exactOptional(),
  nodeId: z.string().regex(/^\d{1,20}$/),
  grantedAccess: mask,
  shareAccess: mask,
  options: mask,
  posix: z.boolean(),
  pattern: text,
  place: z.object({ dots: z.number().int().min(0).max(2), after: text.exactOptional() }),
});

/** The folder below `state`; without `state`, the runtime folder of the system; undefined where there is none. */
export function scanFolderPath(
  state: string | undefined,
  { XDG_RUNTIME_DIR: runtime }: NodeJS.ProcessEnv = process.env,
  uid = process.getuid?.(),
): string | undefined {
  if (state !== undefined) return join(state, 'scans');
  if (runtime?.startsWith('/')) return join(runtime, 'holdfast');
  return uid === 0 ? '/run/holdfast' : undefined;
}

export class ScanFolder implements ScanStore {
  readonly #folder: string;
  readonly #log: Logger;

  private constructor(folder: string, log: Logger) {
    this.#folder = folder;
    this.#log = log;
  }

  /** Blocks: for start-up only. Logs a warning and returns undefined when the folder cannot be used. */
  static open(folder: string, log: Logger): ScanFolder | undefined {
    try {
      makeFolder(folder);
      const found = lstatSync(folder);
      if (!found.isDirectory() || found.uid !== process.getuid?.() || (found.mode & 0o022) !== 0)
        throw new Error('not a folder that only this user can write to');
      sweep(folder);
      return new ScanFolder(folder, log);
    } catch (error) {
      log.warn(
        { folder, reason: (error as Error).message },
        'unfinished SMB listings fail when this process ends: set `state` to a writable folder',
      );
      return undefined;
    }
  }

  /** Never rejects: when a scan cannot be saved, only its client gets an error. */
  async save(key: string, scan: SuspendedScan): Promise<void> {
    try {
      await writeFile(this.#path(key), JSON.stringify(scan), { mode: 0o600 });
    } catch (error) {
      this.#log.warn({ reason: (error as Error).message }, 'an unfinished SMB listing could not be saved');
    }
  }

  async take(key: string): Promise<SuspendedScan | undefined> {
    const path = this.#path(key);
    const claimed = `${path}.${uniqueSuffix}`;
    try {
      // The rename lets one gateway alone take the file: a scan continued twice would list entries twice.
      await rename(path, claimed);
    } catch {
      return undefined;
    }
    try {
      return suspendedScan.safeParse(JSON.parse(await readFile(claimed, 'utf8'))).data;
    } catch {
      return undefined;
    } finally {
      await rm(claimed, { force: true }).catch(() => undefined);
    }
  }

  #path(key: string): string {
    if (!/^[0-9a-f]{32}$/.test(key)) throw new RangeError(`not a scan key: ${key}`);
    return join(this.#folder, `${prefix}${key}`);
  }
}

function sweep(folder: string): void {
  const before = Date.now() - keepMs;
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (!name.startsWith(prefix)) continue;
    // Another gateway may have taken the file in the meantime.
    const found = statSync(path, { throwIfNoEntry: false });
    if (found && found.mtimeMs < before) rmSync(path, { force: true });
  }
}
