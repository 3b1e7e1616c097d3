/**
 * The memory of the cache: chunks of one size, which are reused so that the cache makes no garbage. The budget limits all chunks
 * that exist: used, free, being filled, and those to which a hung read may still write.
 */
import { CacheLimits } from './limits.ts';

/** @typeParam T the extents stored in the chunk. */
export class Chunk<T> {
  readonly buffer = Buffer.allocUnsafeSlow(CacheLimits.block);
  /** Several if small extents share the chunk. */
  readonly extents: T[] = [];
  /** Bytes allocated so far, counted from the beginning of the chunk. */
  used = 0;
  /** Number of running reads that fill the chunk. */
  loading = 0;
  /** Whether a hung read may still write to the chunk. Its ready extents stay valid, but the chunk is never reused. */
  isSpoiled = false;
  /** The list that holds the chunk, and its neighbours in that list. */
  list: ChunkList<T> | undefined;
  previous: Chunk<T> | undefined;
  next: Chunk<T> | undefined;
}

/** A linked list of chunks, the least recently used first. */
export class ChunkList<T> {
  first: Chunk<T> | undefined;
  last: Chunk<T> | undefined;
  size = 0;

  append(chunk: Chunk<T>): void {
    chunk.list = this;
    chunk.previous = this.last;
    chunk.next = undefined;
    if (this.last) this.last.next = chunk;
    else this.first = chunk;
    this.last = chunk;
    this.size += 1;
  }

  remove(chunk: Chunk<T>): void {
    const { previous, next } = chunk;
    if (previous) previous.next = next;
    else this.first = next;
    if (next) next.previous = previous;
    else this.last = previous;
    chunk.list = chunk.previous = chunk.next = undefined;
    this.size -= 1;
  }
}

export class ChunkPool<T> {
  /** Maximum number of chunks. */
  #most = 0;
  /** Number of chunks that exist. Spoiled ones count until their memory is garbage-collected. */
  #existing = 0;
  #spoiled = 0;
  readonly #free: Chunk<T>[] = [];
  /** A hung read keeps its buffer alive. Once the read ends, the buffer can be collected, and this callback runs. */
  readonly #collected = new FinalizationRegistry(() => {
    this.#existing -= 1;
    this.#spoiled -= 1;
  });

  constructor(bytes: number) {
    this.resize(bytes);
  }

  get limit(): number {
    return this.#most * CacheLimits.block;
  }

  /** Bytes of all chunks that exist. */
  get bytes(): number {
    return this.#existing * CacheLimits.block;
  }

  /** Bytes of the chunks that hung reads may still write to. */
  get spoiledBytes(): number {
    return this.#spoiled * CacheLimits.block;
  }

  get freeBytes(): number {
    return this.#free.length * CacheLimits.block;
  }

  /** Whether more chunks exist than the budget allows. */
  get isOver(): boolean {
    return this.#existing > this.#most;
  }

  resize(bytes: number): void {
    this.#most = Math.floor(bytes / CacheLimits.block);
    while (this.isOver && this.#free.pop()) this.#existing -= 1;
  }

  /** Returns a free or new chunk; undefined if the budget allows none. */
  take(): Chunk<T> | undefined {
    const free = this.#free.pop();
    if (free || this.#existing >= this.#most) return free;
    this.#existing += 1;
    return new Chunk<T>();
  }

  give(chunk: Chunk<T>): void {
    chunk.extents.length = 0;
    chunk.used = 0;
    if (chunk.isSpoiled) {
      this.#spoiled += 1;
      this.#collected.register(chunk.buffer.buffer, undefined);
    } else if (this.isOver) this.#existing -= 1;
    else this.#free.push(chunk);
  }
}
