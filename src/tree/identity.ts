/**
 * Identity of every object, computed from (configuration, export, path) and nothing else: the same in every process, on
 * every node, after every remount. Golden files in test/ hold these functions still; changing one breaks every
 * mounted client once.
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
  /** Whether the seed is known to gateways alone, so that nobody else can make a handle. */
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
   * @param seed `identity` of the configuration: gateways that share it give the same ids.
   * @param makeHash replaced in tests, to make collisions likely.
   * @param secret whether the seed is.
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

  /** 63-bit hash of a path: the digest in its handle, and, unless that is taken, its node id. */
  pathHash(path: ByteString, attempt = 0): HashHalves {
    this.#paths.update(attempt === 0 ? path : `${path}\0${attempt}`);
    const high = this.#paths.high & 0x7fffffff;
    const low = this.#paths.low;
    return high === 0 && low === 0 ? { high, low: 1 } : { high, low };
  }

  /** 64-bit hash of one name: its place in the listing and its trace in handles. */
  nameHash(name: ByteString): HashHalves {
    this.#names.update(name);
    return { high: this.#names.high, low: this.#names.low };
  }
}

/** The seed of gateways that have a secret: without it nothing of what follows from the seed can be computed. */
export function seedWithSecret(identity: string, secret: string): string {
  return derive('holdfast', identity, 'secret', secret).toString('hex');
}

/** 16 bytes that name this server to SMB clients, the same on every gateway of one configuration. */
export function serverGuid(seed: string): Buffer {
  return derive('holdfast', seed, 'server-guid').subarray(0, 16);
}

/** 32 bytes, as secret as the seed, with which durable SMB handles are authenticated. */
export function durableKey(seed: string): Buffer {
  return derive('holdfast', seed, 'durable-handles');
}
