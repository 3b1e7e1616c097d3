/**
 * An answer that is shared by all who ask while it is on its way, and serves for a while after: a second, or some times as long
 * as it took. So a client that was told to retry, because the answer took too long, finds it there.
 */
import type { Awaitable } from './contract.ts';
import { TreeLimits } from './limits.ts';

export class Remembered<T> {
  #asking: Promise<T> | undefined;
  #last: { readonly value: T; readonly until: number } | undefined;

  /** @param ask how to find out; a failure is nobody's but theirs who wait for it. */
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

  /** Asks anew next time. */
  forget(): void {
    this.#last = undefined;
  }
}
