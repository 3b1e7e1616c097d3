/** How long to wait before a child that ended is started again. */

export interface BackoffOptions {
  /** The first delay, in ms. */
  readonly initialMs: number;
  /** The longest delay, in ms. */
  readonly maxMs: number;
  /** By how much each delay is longer than the one before. */
  readonly factor: number;
  /** A run of at least this long, in ms, was a good one: the next delay is the first again. */
  readonly goodRunMs: number;
}

/** The first restart comes soon, since every reader waits for it; a child that keeps failing costs little. */
export const defaultBackoff: BackoffOptions = { initialMs: 250, maxMs: 30_000, factor: 2, goodRunMs: 60_000 };

export class Backoff {
  readonly #options: BackoffOptions;
  #next: number;

  constructor(options: BackoffOptions = defaultBackoff) {
    this.#options = options;
    this.#next = options.initialMs;
  }

  /** The delay after a run of `ranMs`; both in ms. */
  after(ranMs: number): number {
    const { initialMs, maxMs, factor, goodRunMs } = this.#options;
    const delay = ranMs >= goodRunMs ? initialMs : this.#next;
    this.#next = Math.min(maxMs, delay * factor);
    return delay;
  }
}
