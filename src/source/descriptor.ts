/** A file descriptor of the source. All readers of the file share it. */
import { close } from 'node:fs';
import type { ContentCounts } from './content-counts.ts';
import type { Lane } from './lanes.ts';

export class Descriptor {
  readonly number: number;
  readonly epoch: number;
  /** Whether it was opened with O_DIRECT. */
  readonly direct: boolean;
  readonly openedAt = performance.now();
  /** Whether a read has returned bytes. */
  hasAnswered = false;
  /** Offset of bytes that certainly were the file's content (not a hole); undefined before the first. */
  witness: number | undefined;
  readonly #lane: Lane;
  readonly #base: string;
  readonly #counts: ContentCounts;
  /** Reads in the kernel now. The descriptor is closed only at zero, as its number may then be reused. */
  #reads = 0;
  #doomed = false;
  #closed = false;

  /** @param base place of the mount, the key in the close lane. */
  constructor(
    number: number,
    epoch: number,
    direct: boolean,
    lane: Lane,
    base: string,
    counts: ContentCounts,
  ) {
    this.number = number;
    this.epoch = epoch;
    this.direct = direct;
    this.#lane = lane;
    this.#base = base;
    this.#counts = counts;
    counts.opens += 1;
  }

  /** No further read may begin on it. */
  get isDoomed(): boolean {
    return this.#doomed;
  }

  /** Counts a read that begins. */
  acquire(): void {
    this.#reads += 1;
  }

  /** The kernel has finished a read. */
  release(): void {
    this.#reads -= 1;
    this.#closeIfDone();
  }

  /** Closes it as soon as no read is running. */
  doom(): void {
    this.#doomed = true;
    this.#closeIfDone();
  }

  #closeIfDone(): void {
    if (!this.#doomed || this.#reads > 0 || this.#closed) return;
    this.#closed = true;
    this.#counts.closes += 1;
    closeSoon(this.#lane, this.#base, this.number);
  }
}

/** Closes in the background, as close() sends FLUSH and may block. Errors are ignored: the file was only read. */
export function closeSoon(lane: Lane, base: string, number: number): void {
  lane
    .run<undefined>(base, (done) => close(number, (error) => done(error ?? null, undefined)))
    .catch(() => undefined);
}
