/** One opened file of the source, shared by everybody who reads from it. */
import { close } from 'node:fs';
import type { ContentCounts } from './content-counts.ts';
import type { Lane } from './lanes.ts';

export class Descriptor {
  readonly number: number;
  readonly epoch: number;
  /** Whether it was opened with O_DIRECT. */
  readonly direct: boolean;
  readonly openedAt = performance.now();
  /** Whether a read of it has brought bytes. */
  hasAnswered = false;
  /** Where it gave bytes that are certainly the file's. */
  witness: number | undefined;
  readonly #lane: Lane;
  readonly #base: string;
  readonly #counts: ContentCounts;
  /** Reads in the kernel now; the number may only be closed, and so reused, when none is left. */
  #reads = 0;
  #doomed = false;
  #closed = false;

  /** @param base of the mount, for the close lane. */
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

  /** No read may begin on it any more. */
  get isDoomed(): boolean {
    return this.#doomed;
  }

  /** A read begins. */
  acquire(): void {
    this.#reads += 1;
  }

  /** The kernel has let go of a read. */
  release(): void {
    this.#reads -= 1;
    this.#closeIfDone();
  }

  /** Closes it as soon as no read is left. */
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

/** close() sends FLUSH and may block; nobody waits for it, and nothing is lost: the file was only read from. */
export function closeSoon(lane: Lane, base: string, number: number): void {
  lane
    .run<undefined>(base, (done) => close(number, (error) => done(error ?? null, undefined)))
    .catch(() => undefined);
}
