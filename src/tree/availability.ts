/** Which mounts of a tree are live, since when, and the requests that wait for each of them. */
import type { PartChange, TreeSource } from '../source/source.ts';
import type { Awaitable } from './contract.ts';
import { TreeError } from './errors.ts';
import { failedWith } from './failures.ts';
import { TreeLimits } from './limits.ts';
import type { ByteString } from './names.ts';
import { Outage } from './outage.ts';
import { Tolls, type Held, type OutageToll } from './toll.ts';

/** The state of one mount. */
interface Presence {
  /** Since when it is absent, performance.now(); undefined while it is live. */
  awaySince: number | undefined;
  liveSince: number;
}

export class Availability {
  readonly #source: Pick<TreeSource, 'part' | 'onState'>;
  readonly #failAfter: number;
  readonly #outage = new Outage(TreeLimits.waiting);
  readonly #tolls = new Tolls();
  readonly #onLive: (base: ByteString) => void;
  readonly #unsubscribe: () => void;
  /** By the place of the mount. */
  readonly #presences = new Map<ByteString, Presence>();

  /**
   * @param failAfter milliseconds that requests wait for an absent mount before they fail; Infinity: until it returns.
   * @param onLive called when a mount is live again, before waiting requests continue.
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

  /** When the path's mount became live, performance.now(). Older information about the path must be refreshed. */
  liveSince(path: ByteString): number {
    return this.#presence(this.#source.part(path).base).liveSince;
  }

  /** The number of waiting requests. */
  get waiting(): number {
    return this.#outage.waiting;
  }

  /** The number of requests that wait for the mount at this place. */
  waitingFor(base: ByteString): number {
    return this.#outage.waitingFor(base);
  }

  /**
   * The requests that have waited for the mount at this place since the last call, and those that wait now.
   * @param running all requests that are not answered, with their paths.
   */
  toll(base: ByteString, running: Iterable<readonly [Held, ByteString]>): OutageToll {
    const others = [...running].flatMap(([request, path]) =>
      !this.#tolls.has(request) && this.#source.part(path).base === base ? [request] : [],
    );
    return this.#tolls.take(base, others);
  }

  /** For shutdown: waiting requests are answered with a retry status at once, so that clients turn to the next gateway. */
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
    // This mount is no longer expected: its requests continue with the mount around it.
    if (this.#source.part(base).base === base) return;
    this.#presences.delete(base);
    this.#outage.over(base);
  }

  /** The place of the mount that caused a failure. */
  #baseOf(failure: unknown, path: ByteString): ByteString {
    return (failure instanceof TreeError ? failure.base : undefined) ?? this.#source.part(path).base;
  }

  /**
   * Repeats `work` on `path`, which has just failed with `down`, as soon as the mount is live. Waits at most `timeoutMs`
   * (Infinity: no limit); if `signal` aborts, rejects with `cancelled`. At the end of the time rejects with the last failure.
   * @param request whose work this is.
   */
  async resume<T>(
    path: ByteString,
    work: () => Awaitable<T>,
    failure: unknown,
    timeoutMs: number,
    signal?: AbortSignal,
    request: Held = { since: performance.now() },
  ): Promise<T> {
    try {
      return await this.#resume(path, work, failure, timeoutMs, signal, request);
    } finally {
      this.#tolls.end(request);
    }
  }

  async #resume<T>(
    path: ByteString,
    work: () => Awaitable<T>,
    failure: unknown,
    timeoutMs: number,
    signal: AbortSignal | undefined,
    request: Held,
  ): Promise<T> {
    const until = performance.now() + timeoutMs;
    let last = failure;
    for (let attempt = 0; failedWith(last, 'down'); attempt++) {
      const now = performance.now();
      const base = this.#baseOf(last, path);
      this.#tolls.begin(request, base);
      const { awaySince } = this.#presence(base);
      const patience = awaySince === undefined ? Infinity : awaySince + this.#failAfter - now;
      if (patience <= 0) throw new TreeError('io', 'the source has been away for too long', { cause: last });
      const rest = Math.min(until - now, patience);
      if (rest <= 0) break;
      // The mount is not `down` although the work failed so: it has just come back, or is about to disappear.
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
