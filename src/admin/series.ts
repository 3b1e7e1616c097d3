/** Samples throughput, latency and waiting requests over the last fifteen minutes, for the plots. */
import { monitorEventLoopDelay, type IntervalHistogram } from 'node:perf_hooks';
import { latencyBounds, type Metrics, type RequestMeter } from './metrics.ts';
import type { Sample } from './status.ts';

/** Milliseconds between two samples. */
export const sampleInterval = 2_000;
/** The most samples that are kept: fifteen minutes. */
const kept = 450;

/** Counters at the time of a sample. */
interface Totals {
  readonly at: number;
  readonly nfsBytes: number;
  readonly smbBytes: number;
  readonly requests: number;
  /** Number of READs in each latency bucket. */
  readonly reads: Float64Array;
}

export class Series {
  readonly #metrics: Metrics;
  readonly #waiting: () => number;
  readonly #delay: IntervalHistogram = monitorEventLoopDelay({ resolution: 20 });
  readonly #samples: Sample[] = [];
  readonly #timer: NodeJS.Timeout;
  #before: Totals;

  /** @param waiting returns the number of requests that could not be answered at once and are not answered yet. */
  constructor(metrics: Metrics, waiting: () => number) {
    this.#metrics = metrics;
    this.#waiting = waiting;
    this.#before = totals(metrics);
    this.#delay.enable();
    this.#timer = setInterval(() => this.take(), sampleInterval).unref();
  }

  /** Oldest first. */
  get samples(): readonly Sample[] {
    return this.#samples;
  }

  take(): void {
    const before = this.#before;
    const now = totals(this.#metrics);
    this.#before = now;
    const seconds = Math.max((now.at - before.at) / 1000, 0.001);
    const rate = (key: 'nfsBytes' | 'smbBytes' | 'requests') =>
      Math.round((now[key] - before[key]) / seconds);
    const reads = now.reads.map((count, index) => count - before.reads[index]!);
    this.#samples.push({
      at: Date.now(),
      nfsBytes: rate('nfsBytes'),
      smbBytes: rate('smbBytes'),
      requests: rate('requests'),
      readP50: quantile(reads, 0.5),
      readP99: quantile(reads, 0.99),
      waiting: this.#waiting(),
      loopDelayMs: this.loopDelayMs,
    });
    this.#delay.reset();
    if (this.#samples.length > kept) this.#samples.shift();
  }

  /** 99th percentile of the event-loop delay since the last sample, in ms, minus the measurement's resolution of 20 ms. */
  get loopDelayMs(): number {
    const milliseconds = this.#delay.percentile(99) / 1e6 - 20;
    return Math.max(0, Math.round(milliseconds * 10) / 10);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#delay.disable();
  }
}

function totals(metrics: Metrics): Totals {
  const reads = new Float64Array(latencyBounds.length + 1);
  let nfsBytes = 0;
  let smbBytes = 0;
  let requests = 0;
  const add = (meter: RequestMeter) => {
    requests += meter.ok + meter.failed;
    if (meter.protocol === 'smb') smbBytes += meter.bytesOut;
    else nfsBytes += meter.bytesOut;
    if (meter.operation === 'READ') meter.buckets.forEach((count, index) => (reads[index]! += count));
  };
  for (const meter of metrics.requests()) add(meter);
  return { at: performance.now(), nfsBytes, smbBytes, requests, reads };
}

/** A quantile in milliseconds: the upper bound of its bucket. Undefined if there are no values. */
export function quantile(buckets: Float64Array, share: number): number | undefined {
  const count = buckets.reduce((sum, one) => sum + one, 0);
  if (count === 0) return undefined;
  let seen = 0;
  for (const [index, inBucket] of buckets.entries()) {
    seen += inBucket;
    if (seen >= count * share) return (latencyBounds[index] ?? latencyBounds.at(-1)! * 2) * 1000;
  }
  return undefined;
}
