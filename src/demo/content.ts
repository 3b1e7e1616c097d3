import { createHash } from 'node:crypto';

/** Bytes between two stamps; every such page of every file is different from every other. */
const PAGE = 4096;
const STAMP = 12;
/** Odd and no multiple of the page, so that one page never meets the same pool bytes at a near offset. */
const POOL_SIZE = 1024 * 1024 + 7919;
/** The pool once more behind itself: a copy of up to this many bytes never wraps. */
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
 * The seed of a file's bytes. The path alone decides them, unless the file was replaced behind the reader's
 * back: then its version does too.
 */
export function contentSeed(path: string, version = 0): string {
  return version === 0 ? path : `${path}#${String(version)}`;
}

/** Writes the bytes that the file of `seed` holds from `offset` on into the whole of `target`. */
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

/** A new buffer with `length` bytes of the file of `seed` from `offset` on. */
export function makeContent(seed: string, offset: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  fillContent(seed, offset, bytes);
  return bytes;
}

/** The index in `bytes` of the first byte that differs from the file of `seed` at `offset`, or -1. */
export function firstDifference(seed: string, offset: number, bytes: Uint8Array): number {
  const expected = makeContent(seed, offset, bytes.length);
  if (expected.equals(bytes)) return -1;
  return expected.findIndex((byte, i) => byte !== bytes[i]);
}

/** The digest (hex) of the first `size` bytes of the file of `seed`, for readers that only hash. */
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
