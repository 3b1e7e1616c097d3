/** Whether the sources of a tree are there, since when, and the requests that wait for each of them. */
import type { PartChange, TreeSource } from '../source/source.ts';
import type { Awaitable } from './contract.ts';
import { TreeError } from './errors.ts';
import { failedWith } from './failures.ts';
import { TreeLimits } from './limits.ts';
import type { ByteString } from './names.ts';
import { Outage, type OutageToll } from './outage.ts';

/** Of one mount. */
interface Presence {
  /** Since when it is away, performance.now(); undefined while it is live. */
  awaySince: number | undefined;
  liveSince: number;
}

export class Availability {
  readonly #source: Pick<TreeSource, 'part' | 'onState'>;
  readonly #failAfter: number;
  readonly #outage = new Outage(TreeLimits.waiting);
  readonly #onLive: (base: ByteString) => void;
  readonly #unsubscribe: () => void;
  /** By the place of the mount. */
  readonly #presences = new Map<ByteString, Presence>();

  /**
   * @param failAfter milliseconds after which a source that is away makes requests fail; Infinity: they wait.
   * @param onLive called when a source is there again, before those who wait for it go on.
   */
  constructor(
    source: Pick<TreeSource, 'part' | 'onState'>,
    failAfter: number,
    onLive: (base: ByteString) => void,
  ) {
    this.#source = source;
    this.#failAfter = failAfter;
    this.#onLive = onLive;
    this.#presence('');
    this.#unsubscribe = source.onState((change) => this.#changed(change));
  }

  isLive(path: ByteString): boolean {
    return this.#source.part(path).state === 'live';
  }

  /** What was learnt of a path before this moment (performance.now()) came from an earlier mount, and is asked for again. */
  liveSince(path: ByteString): number {
    return this.#presence(this.#source.part(path).base).liveSince;
  }

  /** Requests that wait for a source now. */
  get waiting(): number {
    return this.#outage.waiting;
  }

  /** Of these, the ones that wait for the mount at this place. */
  waitingFor(base: ByteString): number {
    return this.#outage.waitingFor(base);
  }

  /** Requests that have waited for the mount at this place since the last call, and that wait now. */
  toll(base: ByteString): OutageToll {
    return this.#outage.toll(base);
  }

  /** The gateway is stopping: whoever waits is told at once to retry, and so reaches the next gateway. */
  stopWaiting(): void {
    this.#outage.dismiss();
  }

  close(): void {
    this.#unsubscribe();
  }

  #presence(base: ByteString): Presence {
    let presence = this.#presences.get(base);
    if (!presence) {
      const isLive = this.#source.part(base).state === 'live';
      presence = { awaySince: isLive ? undefined : performance.now(), liveSince: Number.NEGATIVE_INFINITY };
      this.#presences.set(base, presence);
    }
    return presence;
  }

  #changed({ base, state }: PartChange): void {
    const presence = this.#presence(base);
    if (state === 'live') {
      presence.awaySince = undefined;
      presence.liveSince = performance.now();
      this.#onLive(base);
      this.#outage.over(base);
    } else presence.awaySince ??= performance.now();
    // What was waited for is not expected any more: another source answers now.
    if (this.#source.part(base).base === base) return;
    this.#presences.delete(base);
    this.#outage.over(base);
  }

  /** Which source a failure speaks of. */
  #baseOf(failure: unknown, path: ByteString): ByteString {
    return (failure instanceof TreeError ? failure.base : undefined) ?? this.#source.part(path).base;
  }

  /**
   * Does work on `path` that has just failed with `down` again as soon as the source is there, for at most `timeoutMs`
   * (Infinity: as long as it takes), and no longer than somebody waits: then it is `cancelled`. Fails as the work did last.
   */
  async resume<T>(
    path: ByteString,
    work: () => Awaitable<T>,
    failure: unknown,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<T> {
    const until = performance.now() + timeoutMs;
    let last = failure;
    for (let attempt = 0; failedWith(last, 'down'); attempt++) {
      const now = performance.now();
      const base = this.#baseOf(last, path);
      const { awaySince } = this.#presence(base);
      const patience = awaySince === undefined ? Infinity : awaySince + this.#failAfter - now;
      if (patience <= 0) throw new TreeError('io', 'the source has been away for too long', { cause: last });
      const rest = Math.min(until - now, patience);
      if (rest <= 0) break;
      // A source that is live although the work says otherwise has just come back, or is just going.
      const unsure = this.#source.part(base).state !== 'down';
      if (!unsure || attempt > 0) {
        const outcome = await this.#outage.wait(
          base,
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
