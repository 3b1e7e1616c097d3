/** How long to wait before a child that ended is started again. */

export interface BackoffOptions {
  /** The first delay, in ms. */
  readonly initialMs: number;
  /** The longest delay, in ms. */
  readonly maxMs: number;
  /** Factor from one delay to the next. */
  readonly factor: number;
  /** After a run of at least this long, in ms, the next delay is the first one again. */
  readonly goodRunMs: number;
}

/**
 * The first restart comes soon, since all readers wait for it. Later delays grow, so that a child that keeps failing
 * costs little.
 */
export const defaultBackoff: BackoffOptions = { initialMs: 250, maxMs: 30_000, factor: 2, goodRunMs: 60_000 };

export class Backoff {
  readonly #options: BackoffOptions;
  #next: number;

  constructor(options: BackoffOptions = defaultBackoff) {
    this.#options = options;
    this.#next = options.initialMs;
  }

  /** The delay, in ms, before the restart after a run of `ranMs` ms. */
  after(ranMs: number): number {
    const { initialMs, maxMs, factor, goodRunMs } = this.#options;
    const delay = ranMs >= goodRunMs ? initialMs : this.#next;
    this.#next = Math.min(maxMs, delay * factor);
    return delay;
  }
}
