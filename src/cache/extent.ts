/** A range of bytes of one version of a file that is in memory or being loaded. */
import type { Chunk } from './chunks.ts';
import type { Stream } from './streams.ts';

/** A client's read that waits for an extent being loaded. */
export interface Waiter {
  readonly isWanted: boolean;
  /** The file's bytes from..to are in memory. */
  filled(extent: Extent, from: number, to: number): void;
  /** The load failed. `error` comes from the read of the whole extent; it is undefined if that was only a tryRead. */
  failed(extent: Extent, from: number, to: number, error: Error | undefined): void;
}

interface Waiting {
  readonly waiter: Waiter;
  readonly from: number;
  readonly to: number;
}

export interface ExtentOwner {
  /** Owners of one group are removed from the cache together. */
  readonly group: object;
  /** Called when the extent is evicted. */
  evicted(extent: Extent): void;
}

export class Extent {
  readonly offset: number;
  readonly length: number;
  readonly chunk: Chunk<Extent>;
  /** Offset of the extent in its chunk. */
  readonly at: number;
  /** Undefined once the file has changed or the extent was evicted. */
  owner: ExtentOwner | undefined;
  isReady = false;
  /** Whether it was read ahead and no client has used it yet. */
  isUnread = false;
  /** The reader for which it is read ahead; undefined if a client asked for it. */
  readonly stream: Stream | undefined;
  readonly #waiting: Waiting[] = [];

  constructor(
    owner: ExtentOwner,
    offset: number,
    length: number,
    place: { readonly chunk: Chunk<Extent>; readonly at: number },
    stream: Stream | undefined,
  ) {
    this.owner = owner;
    this.offset = offset;
    this.length = length;
    this.chunk = place.chunk;
    this.at = place.at;
    this.stream = stream;
    this.isUnread = stream !== undefined;
  }

  get end(): number {
    return this.offset + this.length;
  }

  /** The memory to read into. */
  get target(): Buffer {
    return this.chunk.buffer.subarray(this.at, this.at + this.length);
  }

  /** Copies the file's bytes from..to to position `at` of the target. */
  copy(target: Buffer, at: number, from: number, to: number): void {
    const start = this.at - this.offset;
    this.chunk.buffer.copy(target, at, start + from, start + to);
    this.isUnread = false;
  }

  wait(waiter: Waiter, from: number, to: number): void {
    this.#waiting.push({ waiter, from, to });
    this.isUnread = false;
  }

  /** Whether a client waits for it. */
  get isAwaited(): boolean {
    return this.#waiting.some(({ waiter }) => waiter.isWanted);
  }

  /** Whether a queued read should still begin: a client waits, or its reader is still read ahead. */
  get isWanted(): boolean {
    return this.isAwaited || (this.owner !== undefined && (this.stream?.isReadAhead ?? false));
  }

  filled(): void {
    this.isReady = true;
    for (const { waiter, from, to } of this.#waiting) waiter.filled(this, from, to);
    this.#waiting.length = 0;
  }

  failed(error: Error | undefined): void {
    for (const { waiter, from, to } of this.#waiting) waiter.failed(this, from, to, error);
    this.#waiting.length = 0;
  }
}
