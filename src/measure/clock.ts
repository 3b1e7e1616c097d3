/** Measures durations and throughput of repeated operations. */

export interface Times {
  readonly count: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly longest: number;
}

/** Quantiles of durations; undefined if there are none. */
export function timesOf(milliseconds: readonly number[]): Times | undefined {
  if (milliseconds.length === 0) return undefined;
  const sorted = milliseconds.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
  return { count: sorted.length, p50: at(0.5), p99: at(0.99), longest: sorted.at(-1)! };
}

export interface Throughput {
  readonly bytes: number;
  readonly seconds: number;
}

/**
 * Calls `work` repeatedly, `atOnce` calls in parallel, until the time is over or there is no more work. Running calls are
 * awaited, even after the end of the time.
 * @param work resolves with the bytes that it has read; undefined: no more work.
 */
export async function repeat(
  milliseconds: number,
  atOnce: number,
  work: (lane: number) => Promise<number | undefined>,
): Promise<Throughput & { readonly times: readonly number[] }> {
  const since = performance.now();
  const until = since + milliseconds;
  const times: number[] = [];
  let bytes = 0;
  const lane = async (index: number) => {
    while (performance.now() < until) {
      const began = performance.now();
      const done = await work(index);
      if (done === undefined) return;
      times.push(performance.now() - began);
      bytes += done;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, (_, index) => lane(index)));
  return { bytes, seconds: (performance.now() - since) / 1000, times };
}
