/** Whether the source is there, since when, and the requests that wait for it. */
import type { TreeSource } from '../source/source.ts';
import type { Awaitable, SourceState } from './contract.ts';
import { TreeError } from './errors.ts';
import { failedWith } from './failures.ts';
import { TreeLimits } from './limits.ts';
import { Outage } from './outage.ts';

export class Availability {
  readonly #source: Pick<TreeSource, 'state' | 'onState'>;
  readonly #failAfter: number;
  readonly #outage = new Outage(TreeLimits.waiting);
  readonly #onLive: () => void;
  readonly #unsubscribe: () => void;
  /** Since when the source is away, performance.now(); undefined while it is live. */
  #awaySince: number | undefined;
  #liveSince = Number.NEGATIVE_INFINITY;

  /**
   * @param failAfter milliseconds after which a source that is away makes requests fail; Infinity: they wait.
   * @param onLive called when the source is there again, before those who wait go on.
   */
  constructor(source: Pick<TreeSource, 'state' | 'onState'>, failAfter: number, onLive: () => void) {
    this.#source = source;
    this.#failAfter = failAfter;
    this.#onLive = onLive;
    this.#awaySince = source.state === 'live' ? undefined : performance.now();
    this.#unsubscribe = source.onState((state) => this.#changed(state));
  }

  get isLive(): boolean {
    return this.#source.state === 'live';
  }

  /** What was learnt before this moment (performance.now()) came from an earlier mount, and is asked for again. */
  get liveSince(): number {
    return this.#liveSince;
  }

  /** Requests that wait for the source now. */
  get waiting(): number {
    return this.#outage.waiting;
  }

  /** The gateway is stopping: whoever waits is told at once to retry, and so reaches the next gateway. */
  stopWaiting(): void {
    this.#outage.dismiss();
  }

  close(): void {
    this.#unsubscribe();
  }

  #changed(state: SourceState): void {
    if (state !== 'live') {
      this.#awaySince ??= performance.now();
      return;
    }
    this.#awaySince = undefined;
    this.#liveSince = performance.now();
    this.#onLive();
    this.#outage.over();
  }

  /**
   * Does work that has just failed with `down` again as soon as the source is there, for at most `timeoutMs` (Infinity: as
   * long as it takes), and no longer than somebody waits: then it is `cancelled`. Fails as the work did last.
   */
  async resume<T>(
    work: () => Awaitable<T>,
    failure: unknown,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<T> {
    const until = performance.now() + timeoutMs;
    let last = failure;
    for (let attempt = 0; failedWith(last, 'down'); attempt++) {
      const now = performance.now();
      const patience = this.#awaySince === undefined ? Infinity : this.#awaySince + this.#failAfter - now;
      if (patience <= 0) throw new TreeError('io', 'the source has been away for too long', { cause: last });
      const rest = Math.min(until - now, patience);
      if (rest <= 0) break;
      // A source that is live although the work says otherwise has just come back, or is just going.
      const unsure = this.#source.state !== 'down';
      if (!unsure || attempt > 0) {
        const outcome = await this.#outage.wait(
          unsure ? Math.min(rest, TreeLimits.unsureWait) : rest,
          signal,
        );
        if (outcome === 'abandoned') throw new TreeError('cancelled', undefined, { cause: last });
        const again = outcome === 'live' || (outcome === 'expired' && (unsure || patience < until - now));
        if (!again) break;
      }
      try {
        return await work();
      } catch (error) {
        last = error;
      }
    }
    throw last;
  }
}
