/**
 * Holes. Where a FUSE daemon answers a read with fewer bytes than asked, the kernel may ask for the rest through the page cache
 * and fill what is still missing with zeros, for an O_DIRECT reader as well. Such zeros reach to the end of a page. So a page
 * that ends in zeros may be one that a leaving daemon did not give, and is asked for again before it is believed.
 */
import { LRUCache } from 'lru-cache';
import { SourceLimits } from './limits.ts';

const page = 4096;
/** Bytes at the end of a page that must be zeros; a real page that ends so costs one more look. */
const tail = 8;

/** Whether `bytes`, which lie at `position` in their file, hold the end of a page that is zeros, or end so themselves. */
export function mayHoldHole(bytes: Buffer, position: number): boolean {
  const { length } = bytes;
  for (let end = page - (position % page); end < length; end += page) if (isZero(bytes, end)) return true;
  return length > 0 && isZero(bytes, length);
}

/** The last byte nearly always decides. */
function isZero(bytes: Buffer, end: number): boolean {
  for (let at = end - 1; at >= Math.max(0, end - tail); at--) if (bytes[at] !== 0) return false;
  return true;
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
