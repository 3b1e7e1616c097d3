/**
 * Ids of all objects. They are computed only from configuration, export and path, so they are the same in every process, on
 * every node and after every remount. Golden files in test/ guard these functions: any change breaks every mounted client
 * once.
 */
import { createHash } from 'node:crypto';
import { SipHash, type StringHash } from './siphash.ts';
import type { ByteString } from './names.ts';

const derive = (...parts: string[]) => createHash('sha256').update(parts.join('\0')).digest();

export interface HashHalves {
  readonly high: number;
  readonly low: number;
}

export class Identity {
  readonly exportName: string;
  /** Whether the seed is secret, so that only gateways can make handles. */
  readonly secret: boolean;
  /** Filesystem id: constant for the export, unsigned 32-bit halves. */
  readonly fsid: HashHalves;
  /** Volume serial number of the share, unsigned 32 bit. */
  readonly volumeSerial: number;
  /** First 6 bytes of every handle of this export. */
  readonly exportTag: Buffer;
  readonly #paths: StringHash;
  readonly #names: StringHash;

  /**
   * @param seed from `identity` and the secret of the configuration. Gateways with the same seed give the same ids.
   * @param makeHash for tests: a hash with frequent collisions.
   * @param secret whether the seed is secret.
   */
  constructor(
    seed: string,
    exportName: string,
    makeHash: (key: Buffer) => StringHash = (key) => new SipHash(key),
    secret = false,
  ) {
    this.exportName = exportName;
    this.secret = secret;
    const key = (purpose: string) => derive('holdfast', seed, exportName, purpose).subarray(0, 16);
    this.#paths = makeHash(key('path'));
    this.#names = makeHash(key('name'));
    const volume = key('volume');
    this.fsid = { high: volume.readUInt32BE(0) & 0x7fffffff, low: volume.readUInt32BE(4) };
    this.volumeSerial = volume.readUInt32BE(8);
    this.exportTag = key('export').subarray(0, 6);
  }

  /** 63-bit hash of a path. It is part of the handle and, unless another path has it, the node id. */
  pathHash(path: ByteString, attempt = 0): HashHalves {
    this.#paths.update(attempt === 0 ? path : `${path}\0${attempt}`);
    const high = this.#paths.high & 0x7fffffff;
    const low = this.#paths.low;
    return high === 0 && low === 0 ? { high, low: 1 } : { high, low };
  }

  /** 64-bit hash of a name. It decides the entry's place in the listing; a piece of it is in handles. */
  nameHash(name: ByteString): HashHalves {
    this.#names.update(name);
    return { high: this.#names.high, low: this.#names.low };
  }
}

/** The seed of gateways with a secret. Without the secret, no value derived from the seed can be computed. */
export function seedWithSecret(identity: string, secret: string): string {
  return derive('holdfast', identity, 'secret', secret).toString('hex');
}

/** The 16-byte server GUID for SMB clients: the same on every gateway with this configuration. */
export function serverGuid(seed: string): Buffer {
  return derive('holdfast', seed, 'server-guid').subarray(0, 16);
}

/** The 32-byte key that authenticates durable SMB handles. It is as secret as the seed. */
export function durableKey(seed: string): Buffer {
  return derive('holdfast', seed, 'durable-handles');
}
