/** Bytes of one version of a file that lie in memory, or are on their way there. */
import type { Chunk } from './chunks.ts';
import type { Stream } from './streams.ts';

/** Somebody who needs bytes of an extent that is being read. */
export interface Waiter {
  readonly isWanted: boolean;
  /** The bytes from..to of the file are there. */
  filled(extent: Extent, from: number, to: number): void;
  /** They are not. The error is that of a read of the whole extent; undefined when the extent was only tried. */
  failed(extent: Extent, from: number, to: number, error: Error | undefined): void;
}

interface Waiting {
  readonly waiter: Waiter;
  readonly from: number;
  readonly to: number;
}

export interface ExtentOwner {
  /** Those who are taken out of the cache together. */
  readonly group: object;
  /** It was evicted. */
  evicted(extent: Extent): void;
}

export class Extent {
  readonly offset: number;
  readonly length: number;
  readonly chunk: Chunk<Extent>;
  /** Where it begins in the chunk. */
  readonly at: number;
  /** Undefined once the file has changed, or it was evicted. */
  owner: ExtentOwner | undefined;
  isReady = false;
  /** Was read ahead of a reader who has not come yet. */
  isUnread = false;
  /** Whose reading ahead this is. */
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

  /** Copies the bytes from..to of the file. */
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

  /** Whether a read that has not begun is still worth it. */
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
