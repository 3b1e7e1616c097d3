/**
 * Pages of zeros. Where a FUSE daemon answers a read with fewer bytes than asked, the kernel may ask again through the page cache
 * and fill what is still missing with zeros, for an O_DIRECT reader as well. So a whole page of zeros may be a hole that a
 * leaving daemon made, and is asked for again before it is believed.
 */
import { LRUCache } from 'lru-cache';
import { SourceLimits } from './limits.ts';

const page = 4096;
const zeroPage = Buffer.alloc(page);

/** Whether `bytes`, which lie at `position` in their file, hold a page of it that is all zeros. */
export function hasZeroPage(bytes: Buffer, position: number): boolean {
  let at = (page - (position % page)) % page;
  // The beginning and the end may be parts of pages; alone they count as pages.
  if (at > 0 && isZero(bytes, 0, Math.min(at, bytes.length))) return true;
  for (; at < bytes.length; at += page) if (isZero(bytes, at, Math.min(at + page, bytes.length))) return true;
  return false;
}

/** The first bytes nearly always decide. */
function isZero(bytes: Buffer, from: number, to: number): boolean {
  if (bytes[from] !== 0 || bytes[to - 1] !== 0 || bytes[(from + to) >>> 1] !== 0) return false;
  return bytes.compare(zeroPage, 0, to - from, from, to) === 0;
}

/** Places whose zeros were confirmed to be the file's own, in this epoch. */
export class ConfirmedZeros {
  readonly #places = new LRUCache<string, true>({ max: SourceLimits.zeroRegions });

  has(path: string, position: number, length: number): boolean {
    return this.#places.has(`${position} ${length} ${path}`);
  }

  add(path: string, position: number, length: number): void {
    this.#places.set(`${position} ${length} ${path}`, true);
  }

  clear(): void {
    this.#places.clear();
  }
}
