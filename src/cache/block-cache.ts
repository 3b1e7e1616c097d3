/**
 * The content cache that all exports and both protocols share.
 *
 * Contract:
 * - The cache stores only bytes that the source has confirmed (by SourceFile.read or tryRead), for the version of the file that
 *   was known when the read began. When the version changes, all old blocks are dropped. Reads that still run for the old version
 *   answer the requests that already wait for them, but no later request.
 * - The budget is a hard limit. Memory that a running read fills, or that a hung read may still write to, counts.
 * - If there is no room, a read bypasses the cache. No read ever waits for room.
 * - Order of eviction: blocks that a sequential reader has passed, then the least recently used blocks, then beginnings and ends
 *   of files. If beginnings and ends hold more than their share (CacheLimits.edgeShare), they are evicted first.
 */
import { type Chunk, ChunkList, ChunkPool } from './chunks.ts';
import type { Extent } from './extent.ts';
import { CacheLimits } from './limits.ts';

export type Rank = 'usual' | 'edge';

export interface Place {
  readonly chunk: Chunk<Extent>;
  readonly at: number;
}

/** Bytes. Extents that share a chunk are aligned to pages. */
const page = 4096;

export class BlockCache {
  readonly #pool: ChunkPool<Extent>;
  readonly #passed = new ChunkList<Extent>();
  readonly #usual = new ChunkList<Extent>();
  readonly #edges = new ChunkList<Extent>();
  /** For each rank: the chunk that small extents fill one after another. */
  readonly #shelves: Record<Rank, Chunk<Extent> | undefined> = { usual: undefined, edge: undefined };
  /** Number of chunks evicted so far. */
  evictions = 0;
  /** Bytes that were read ahead and dropped before any client read them. */
  unreadBytes = 0;

  /** @param bytes the budget; 0 turns the cache off. */
  constructor(bytes: number) {
    this.#pool = new ChunkPool<Extent>(bytes);
  }

  get limit(): number {
    return this.#pool.limit;
  }

  /** Bytes of all chunks that exist, including free ones. */
  get bytes(): number {
    return this.#pool.bytes;
  }

  /** The part of `bytes` that running reads fill now. */
  get loadingBytes(): number {
    const evictable = this.#passed.size + this.#usual.size + this.#edges.size;
    return this.bytes - this.#pool.freeBytes - this.lostBytes - evictable * CacheLimits.block;
  }

  /** The part of `bytes` that hung reads may still write to, although they were given up. */
  get lostBytes(): number {
    return this.#pool.spoiledBytes;
  }

  /** Sets a new budget. Evicts what exceeds it, except chunks that a read is filling: those go when the read ends. */
  resize(bytes: number): void {
    this.#pool.resize(bytes);
    while (this.#pool.isOver && this.#evictOne());
  }

  /**
   * Memory for a load of at most one block; undefined if the cache is off or nothing can be evicted. The caller must call
   * `loaded` when the load ends.
   */
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
    // While a read fills it, the chunk is in no list and so cannot be evicted.
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

  /**
   * Ends a load.
   * @param extent undefined if its bytes must not be kept.
   * @param isLost whether a hung read may still write to the memory.
   */
  loaded(chunk: Chunk<Extent>, extent: Extent | undefined, rank: Rank, isLost = false): void {
    chunk.loading -= 1;
    if (extent) chunk.extents.push(extent);
    if (isLost) {
      chunk.isSpoiled = true;
      this.#unshelve(chunk);
    }
    this.#settle(chunk, rank);
  }

  /** When no read fills the chunk any more, adds it to its list, or returns it to the pool if it is empty. */
  #settle(chunk: Chunk<Extent>, rank: Rank): void {
    if (chunk.loading > 0) return;
    if (chunk.extents.length === 0) {
      chunk.list?.remove(chunk);
      this.#unshelve(chunk);
      this.#pool.give(chunk);
    } else if (!chunk.list) (rank === 'edge' ? this.#edges : this.#usual).append(chunk);
    if (this.#pool.isOver) this.#evictOne();
  }

  /** Marks a chunk as used last: a client has read it. */
  touch(chunk: Chunk<Extent>): void {
    const { list } = chunk;
    if (!list || (chunk === list.last && list !== this.#passed)) return;
    list.remove(chunk);
    (list === this.#edges ? this.#edges : this.#usual).append(chunk);
  }

  /** Marks a chunk that a sequential reader has passed: it is evicted before others. */
  pass(chunk: Chunk<Extent>): void {
    if (chunk.list !== this.#usual) return;
    this.#usual.remove(chunk);
    this.#passed.append(chunk);
  }

  /** Removes an extent whose bytes are out of date. */
  drop(extent: Extent): void {
    extent.owner = undefined;
    const { chunk } = extent;
    const index = chunk.extents.indexOf(extent);
    if (index < 0) return;
    this.#countUnread(extent);
    chunk.extents.splice(index, 1);
    if (chunk.extents.length === 0) this.#settle(chunk, 'usual');
  }

  /** Removes the extents of one group of owners, except those in chunks that a read is filling. */
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
