/**
 * A cached answer. Parallel requests share one call, and its result is reused for a second, or for a multiple of the time that
 * it took. So a client that had to retry, because the answer took too long, gets it.
 */
import type { Awaitable } from './contract.ts';
import { TreeLimits } from './limits.ts';

export class Remembered<T> {
  #asking: Promise<T> | undefined;
  #last: { readonly value: T; readonly until: number } | undefined;

  /** @param ask makes the call. A failure is not cached: it goes only to those who wait for it. */
  get(ask: () => Promise<T>): Awaitable<T> {
    if (this.#last && performance.now() < this.#last.until) return this.#last.value;
    if (this.#asking) return this.#asking;
    const begun = performance.now();
    const asking = ask()
      .then((value) => {
        const now = performance.now();
        const fresh = Math.max(TreeLimits.attributesFresh, (now - begun) * TreeLimits.rememberedFactor);
        this.#last = { value, until: now + fresh };
        return value;
      })
      .finally(() => (this.#asking = undefined));
    this.#asking = asking;
    return asking;
  }

  /** Drops the answer, so that the next request makes a new call. */
  forget(): void {
    this.#last = undefined;
  }
}
