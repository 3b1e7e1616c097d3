import { createHash } from 'node:crypto';

/** Each page of this many bytes begins with a stamp, so no two pages of any two files are equal. */
const PAGE = 4096;
const STAMP = 12;
/** Bytes. Not a multiple of the page size, so that neighbouring pages begin at different places in the pool. */
const POOL_SIZE = 1024 * 1024 + 7919;
/** The pool's first bytes are repeated behind its end, so that a copy of up to this many bytes need not wrap. */
const OVERLAP = 1024 * 1024;

const pool = makePool();

function makePool(): Buffer {
  const bytes = Buffer.allocUnsafe(POOL_SIZE + OVERLAP);
  let state = 0x9e3779b9;
  for (let i = 0; i < POOL_SIZE; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state & 0xff;
  }
  bytes.copy(bytes, POOL_SIZE, 0, OVERLAP);
  return bytes;
}

function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/**
 * The seed that decides a file's bytes: its path, and the version if the file was replaced (version above 0).
 */
export function contentSeed(path: string, version = 0): string {
  return version === 0 ? path : `${path}#${String(version)}`;
}

/** Fills `target` with the bytes of the file of `seed`, starting at `offset`. */
export function fillContent(seed: string, offset: number, target: Buffer): void {
  const key = fnv1a(seed);
  for (let done = 0; done < target.length;) {
    const from = (key + offset + done) % POOL_SIZE;
    done += pool.copy(target, done, from, from + Math.min(OVERLAP, target.length - done));
  }
  const stamp = Buffer.allocUnsafe(STAMP);
  stamp.writeUInt32LE(key, 0);
  const firstPage = Math.floor(offset / PAGE);
  const end = offset + target.length;
  for (let page = firstPage; page * PAGE < end; page++) {
    stamp.writeUIntLE(page, 4, 6);
    stamp.writeUInt16LE((page ^ key) & 0xffff, 10);
    const at = page * PAGE - offset;
    if (at >= 0) stamp.copy(target, at);
    else if (at > -STAMP) stamp.copy(target, 0, -at);
  }
}

/** Returns a new buffer with `length` bytes of the file of `seed`, starting at `offset`. */
export function makeContent(seed: string, offset: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  fillContent(seed, offset, bytes);
  return bytes;
}

/** Compares `bytes` with the file of `seed` at `offset`. Returns the index of the first difference in `bytes`, or -1. */
export function firstDifference(seed: string, offset: number, bytes: Uint8Array): number {
  const expected = makeContent(seed, offset, bytes.length);
  if (expected.equals(bytes)) return -1;
  return expected.findIndex((byte, i) => byte !== bytes[i]);
}

/** The digest (hex) of the first `size` bytes of the file of `seed`, for tests that only compare digests. */
export function contentDigest(seed: string, size: number, algorithm = 'sha256'): string {
  const hash = createHash(algorithm);
  const chunk = Buffer.allocUnsafe(OVERLAP);
  for (let offset = 0; offset < size; offset += chunk.length) {
    const part = chunk.subarray(0, Math.min(chunk.length, size - offset));
    fillContent(seed, offset, part);
    hash.update(part);
  }
  return hash.digest('hex');
}
