/**
 * The one cache of content, of all exports and both protocols.
 *
 * Contract:
 * - Only bytes that the source has vouched for go in (SourceFile.read and tryRead judge them), under the version of the file
 *   that was known when the read began. When another version is seen, all blocks of the old one go, and reads that still run for
 *   it answer those who had already asked, and nobody later.
 * - The budget is hard. What is being read into counts, and so does what a hung read may still write to.
 * - A read that finds no room goes past the cache. Nothing ever waits for room.
 * - What goes first: what a reader in order has passed; then by last use; beginnings and ends of files last, as long as these hold
 *   no more than their share.
 */
import { type Chunk, ChunkList, ChunkPool } from './chunks.ts';
import type { Extent } from './extent.ts';
import { CacheLimits } from './limits.ts';

export type Rank = 'usual' | 'edge';

export interface Place {
  readonly chunk: Chunk<Extent>;
  readonly at: number;
}

/** Small extents begin at whole pages of their chunk. */
const page = 4096;

export class BlockCache {
  readonly #pool: ChunkPool<Extent>;
  readonly #passed = new ChunkList<Extent>();
  readonly #usual = new ChunkList<Extent>();
  readonly #edges = new ChunkList<Extent>();
  /** Chunks that small extents are put into, one behind the other. */
  readonly #shelves: Record<Rank, Chunk<Extent> | undefined> = { usual: undefined, edge: undefined };
  /** Blocks that had to go for others. */
  evictions = 0;
  /** Bytes that were read ahead and went before anybody asked for them. */
  unreadBytes = 0;

  /** @param bytes the budget; 0: nothing is kept. */
  constructor(bytes: number) {
    this.#pool = new ChunkPool<Extent>(bytes);
  }

  get limit(): number {
    return this.#pool.limit;
  }

  /** Bytes that are held now, free chunks included. */
  get bytes(): number {
    return this.#pool.bytes;
  }

  /** Bytes of these that reads run into now. */
  get loadingBytes(): number {
    const evictable = this.#passed.size + this.#usual.size + this.#edges.size;
    return this.bytes - this.#pool.freeBytes - this.lostBytes - evictable * CacheLimits.block;
  }

  /** Bytes of these that reads which were given up may still write to. */
  get lostBytes(): number {
    return this.#pool.spoiledBytes;
  }

  /** Takes what is above another budget away, as far as no read is running into it. */
  resize(bytes: number): void {
    this.#pool.resize(bytes);
    while (this.#pool.isOver && this.#evictOne());
  }

  /** Memory for a load of up to a block; undefined when all is being read into. It must end with `loaded`. */
  place(length: number, rank: Rank): Place | undefined {
    if (this.limit === 0) return undefined;
    const shelf = this.#shelves[rank];
    const isSmall = length <= CacheLimits.block - CacheLimits.piece;
    if (isSmall && shelf && shelf.used + length <= CacheLimits.block) return this.#on(shelf, length);
    const chunk = this.#take();
    if (!chunk) return undefined;
    if (isSmall) this.#shelves[rank] = chunk;
    return this.#on(chunk, length);
  }

  #on(chunk: Chunk<Extent>, length: number): Place {
    const at = chunk.used;
    chunk.used = Math.ceil((at + length) / page) * page;
    // What is being read into is in no list, so that it cannot be evicted.
    chunk.list?.remove(chunk);
    chunk.loading += 1;
    return { chunk, at };
  }

  #take(): Chunk<Extent> | undefined {
    for (;;) {
      const chunk = this.#pool.take();
      if (chunk) return chunk;
      if (!this.#evictOne()) return undefined;
    }
  }

  /** A load has ended: its extent is good, or undefined. @param isLost the source may still write to it. */
  loaded(chunk: Chunk<Extent>, extent: Extent | undefined, rank: Rank, isLost = false): void {
    chunk.loading -= 1;
    if (extent) chunk.extents.push(extent);
    if (isLost) {
      chunk.isSpoiled = true;
      this.#unshelve(chunk);
    }
    this.#settle(chunk, rank);
  }

  /** To its list once nothing is read into it any more; back to the pool when nothing lies in it. */
  #settle(chunk: Chunk<Extent>, rank: Rank): void {
    if (chunk.loading > 0) return;
    if (chunk.extents.length === 0) {
      chunk.list?.remove(chunk);
      this.#unshelve(chunk);
      this.#pool.give(chunk);
    } else if (!chunk.list) (rank === 'edge' ? this.#edges : this.#usual).append(chunk);
    if (this.#pool.isOver) this.#evictOne();
  }

  /** It was read by a client. */
  touch(chunk: Chunk<Extent>): void {
    const { list } = chunk;
    if (!list || (chunk === list.last && list !== this.#passed)) return;
    list.remove(chunk);
    (list === this.#edges ? this.#edges : this.#usual).append(chunk);
  }

  /** A reader in order has passed it. */
  pass(chunk: Chunk<Extent>): void {
    if (chunk.list !== this.#usual) return;
    this.#usual.remove(chunk);
    this.#passed.append(chunk);
  }

  /** An extent is of no use any more. */
  drop(extent: Extent): void {
    extent.owner = undefined;
    const { chunk } = extent;
    const index = chunk.extents.indexOf(extent);
    if (index < 0) return;
    this.#countUnread(extent);
    chunk.extents.splice(index, 1);
    if (chunk.extents.length === 0) this.#settle(chunk, 'usual');
  }

  /** Takes out all that is in memory of a group of owners. */
  dropAll(group: object): void {
    const extents: Extent[] = [];
    for (const list of [this.#passed, this.#usual, this.#edges])
      for (let chunk = list.first; chunk; chunk = chunk.next) extents.push(...chunk.extents);
    for (const extent of extents) {
      if (extent.owner?.group !== group) continue;
      extent.owner.evicted(extent);
      this.drop(extent);
    }
  }

  #countUnread(extent: Extent): void {
    if (extent.isUnread) this.unreadBytes += extent.length;
  }

  #evictOne(): boolean {
    const edges = this.#edges.size * CacheLimits.block;
    const surplus = edges > this.limit * CacheLimits.edgeShare ? this.#edges.first : undefined;
    const chunk = surplus ?? this.#passed.first ?? this.#usual.first ?? this.#edges.first;
    if (!chunk) return false;
    chunk.list!.remove(chunk);
    this.#unshelve(chunk);
    for (const extent of chunk.extents) {
      this.#countUnread(extent);
      extent.owner?.evicted(extent);
      extent.owner = undefined;
    }
    this.evictions += 1;
    this.#pool.give(chunk);
    return true;
  }

  #unshelve(chunk: Chunk<Extent>): void {
    if (this.#shelves.usual === chunk) this.#shelves.usual = undefined;
    if (this.#shelves.edge === chunk) this.#shelves.edge = undefined;
  }
}
