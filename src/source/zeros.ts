/**
 * Detects false zeros ("holes"). If a FUSE daemon answers a read with fewer bytes than asked, the kernel may read the rest
 * through the page cache and fill what is still missing with zeros, even for O_DIRECT. Such zeros reach to the end of a page.
 * So a page that ends in zeros may come from a daemon that is shutting down, and is read again before it is accepted.
 */
import { LRUCache } from 'lru-cache';
import { SourceLimits } from './limits.ts';

const page = 4096;
/** A page counts as suspect if its last bytes, this many, are zero. Real content of this form is only read once more. */
const tail = 8;

/** Whether `bytes`, read at `position`, contain a page that ends in zeros, or end in zeros themselves. */
export function mayHoldHole(bytes: Buffer, position: number): boolean {
  const { length } = bytes;
  for (let end = page - (position % page); end < length; end += page) if (isZero(bytes, end)) return true;
  return length > 0 && isZero(bytes, length);
}

/** Whether the bytes before `end` are zero. Checks the last byte first, which nearly always decides. */
function isZero(bytes: Buffer, end: number): boolean {
  for (let at = end - 1; at >= Math.max(0, end - tail); at--) if (bytes[at] !== 0) return false;
  return true;
}

/** Ranges whose zeros were confirmed as real content in this epoch. */
export class ConfirmedZeros {
  readonly #places = new LRUCache<string, true>({ max: SourceLimits.zeroRegions });

  has(path: string, position: number, length: number): boolean {
    return this.#places.has(`${position} ${length} ${path}`);
  }

  add(path: string, position: number, length: number): void {
    this.#places.set(`${position} ${length} ${path}`, true);
  }

  /** The path has new content. */
  forget(path: string): void {
    for (const place of this.#places.keys()) if (place.endsWith(` ${path}`)) this.#places.delete(place);
  }

  clear(): void {
    this.#places.clear();
  }
}
