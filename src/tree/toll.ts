/** What an outage of a mount has cost: the requests that waited for it, each once, however often its work was repeated. */
import type { ByteString } from './names.ts';

export interface OutageToll {
  readonly requests: number;
  readonly longestMs: number;
}

/** A request, which began at `since`, performance.now(). */
export interface Held {
  readonly since: number;
}

export class Tolls {
  /** The place of the mount that each request waits for now. */
  readonly #waiting = new Map<Held, ByteString>();
  /** Of requests that have ended, by the place of the mount. */
  readonly #ended = new Map<ByteString, OutageToll>();

  has(request: Held): boolean {
    return this.#waiting.has(request);
  }

  begin(request: Held, base: ByteString): void {
    this.#waiting.set(request, base);
  }

  end(request: Held): void {
    const base = this.#waiting.get(request);
    if (base === undefined) return;
    this.#waiting.delete(request);
    this.#ended.set(base, summed(this.#ended.get(base), [request]));
  }

  /**
   * The requests that have waited for the mount at this place and ended since the last call, and those that wait now.
   * @param others requests that wait without having failed: their calls have not returned, or have not begun.
   */
  take(base: ByteString, others: readonly Held[]): OutageToll {
    const ended = this.#ended.get(base);
    this.#ended.delete(base);
    const waiting = [...this.#waiting].flatMap(([request, at]) => (at === base ? [request] : []));
    return summed(ended, [...waiting, ...others]);
  }
}

function summed(toll: OutageToll | undefined, requests: readonly Held[]): OutageToll {
  const now = performance.now();
  const oldest = requests.reduce((least, { since }) => Math.min(least, since), now);
  return {
    requests: (toll?.requests ?? 0) + requests.length,
    longestMs: Math.max(toll?.longestMs ?? 0, now - oldest),
  };
}
