/**
 * The memory of the cache: chunks of one size that are used again and again, so that a block leaves no garbage. The budget holds for
 * all that exist: used, free, being read into, and those that a read which hangs may still write to.
 */
import { CacheLimits } from './limits.ts';

/** @typeParam T what lies in it. */
export class Chunk<T> {
  readonly buffer = Buffer.allocUnsafeSlow(CacheLimits.block);
  /** What lies in it; several where small extents share it. */
  readonly extents: T[] = [];
  /** Bytes from its beginning that are given away. */
  used = 0;
  /** Reads into it that run. */
  loading = 0;
  /** A read may still write into it although it was given up. What it held before is good; it is not used again. */
  isSpoiled = false;
  /** The list that it is in, and its neighbours there. */
  list: ChunkList<T> | undefined;
  previous: Chunk<T> | undefined;
  next: Chunk<T> | undefined;
}

/** In the order of last use, the longest ago first. */
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
  /** Chunks that may exist. */
  #most = 0;
  /** Chunks that exist, the spoiled ones included until their memory is free. */
  #existing = 0;
  #spoiled = 0;
  readonly #free: Chunk<T>[] = [];
  /** The kernel's hold on a buffer ends with the read; then the collector finds it. */
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

  /** Bytes that hung reads may still write to. */
  get spoiledBytes(): number {
    return this.#spoiled * CacheLimits.block;
  }

  get freeBytes(): number {
    return this.#free.length * CacheLimits.block;
  }

  /** True while more chunks exist than may. */
  get isOver(): boolean {
    return this.#existing > this.#most;
  }

  resize(bytes: number): void {
    this.#most = Math.floor(bytes / CacheLimits.block);
    while (this.isOver && this.#free.pop()) this.#existing -= 1;
  }

  /** Undefined when all that may exist is in use. */
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
