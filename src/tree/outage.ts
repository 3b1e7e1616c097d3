/**
 * Requests that wait for an absent source. Their number is limited: beyond it, the oldest gets a retry status of its protocol
 * (`crowded`).
 */
export type WaitOutcome = 'live' | 'expired' | 'crowded' | 'abandoned';

interface Waiting {
  /** The place of the mount that the request waits for. */
  readonly base: string;
  readonly settle: (outcome: WaitOutcome) => void;
}

export class Outage {
  readonly #limit: number;
  /** In order of arrival. */
  readonly #waiting = new Set<Waiting>();
  #dismissed = false;

  /** @param limit the most waiting requests, for all mounts together. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** The number of requests that wait for the mount at this place. */
  waitingFor(base: string): number {
    let count = 0;
    for (const waiting of this.#waiting) if (waiting.base === base) count += 1;
    return count;
  }

  /**
   * Waits for the mount at `base`: at most `timeoutMs` (Infinity: no limit), and only until `signal` aborts.
   */
  wait(base: string, timeoutMs: number, signal?: AbortSignal): Promise<WaitOutcome> {
    return new Promise((resolve) => {
      if (signal?.aborted || this.#dismissed) {
        resolve(signal?.aborted ? 'abandoned' : 'crowded');
        return;
      }
      let timer: NodeJS.Timeout | undefined;
      const waiting: Waiting = {
        base,
        settle: (outcome) => {
          if (!this.#waiting.delete(waiting)) return;
          clearTimeout(timer);
          signal?.removeEventListener('abort', abandoned);
          resolve(outcome);
        },
      };
      const abandoned = () => waiting.settle('abandoned');
      this.#waiting.add(waiting);
      signal?.addEventListener('abort', abandoned, { once: true });
      if (Number.isFinite(timeoutMs)) timer = setTimeout(() => waiting.settle('expired'), timeoutMs).unref();
      if (this.#waiting.size > this.#limit) this.#oldest()?.settle('crowded');
    });
  }

  /** For shutdown: releases all waiting requests with `crowded`, and refuses new ones in the same way. */
  dismiss(): void {
    this.#dismissed = true;
    for (const waiting of [...this.#waiting]) waiting.settle('crowded');
  }

  /** The mount at `base` is live again: releases the requests that wait for it. */
  over(base: string): void {
    for (const waiting of [...this.#waiting]) if (waiting.base === base) waiting.settle('live');
  }

  #oldest(): Waiting | undefined {
    for (const waiting of this.#waiting) return waiting;
    return undefined;
  }
}
