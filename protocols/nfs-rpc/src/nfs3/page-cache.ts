/**
 * Encoded entries of directory pages, kept for as long as nothing in them changes. Listings are large and are requested again
 * and again; to encode an entry takes ten times as long as to copy it.
 */
import { MAX_CACHED_PAGES } from '../limits.ts';

/** The entries of one page, as they are on the wire. */
export interface Page {
  readonly bytes: Buffer;
  /** Index of the first entry that is not in the page. */
  readonly end: number;
}

interface Edition {
  readonly pages: Map<string, Page>;
  bytes: number;
}

export class PageCache {
  readonly #most: number;
  /** By the listing's edition, least recently used first. */
  readonly #editions = new Map<object, Edition>();
  #bytes = 0;

  /** @param most bytes of all pages. */
  constructor(most = MAX_CACHED_PAGES) {
    this.#most = most;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @param place where the page begins, and how much room it has. */
  get(edition: object, place: string): Page | undefined {
    const known = this.#editions.get(edition);
    if (!known) return undefined;
    this.#editions.delete(edition);
    this.#editions.set(edition, known);
    return known.pages.get(place);
  }

  /** Keeps a copy of the bytes. */
  set(edition: object, place: string, bytes: Buffer, end: number): void {
    if (bytes.length === 0 || bytes.length > this.#most) return;
    const known = this.#editions.get(edition) ?? { pages: new Map<string, Page>(), bytes: 0 };
    this.#editions.set(edition, known);
    const before = known.pages.get(place)?.bytes.length ?? 0;
    known.pages.set(place, { bytes: Buffer.from(bytes), end });
    known.bytes += bytes.length - before;
    this.#bytes += bytes.length - before;
    for (const [oldest, { bytes: freed }] of this.#editions) {
      if (this.#bytes <= this.#most) return;
      this.#editions.delete(oldest);
      this.#bytes -= freed;
    }
  }
}
