import type { FailureSpec, FaultScope, FuseOperation, Latency, OperationCounts } from './fuse-protocol.ts';

/** 0, or a negative errno. */
export type Answer = (error: number) => void;

interface Held {
  readonly operation: FuseOperation;
  readonly path: string;
  readonly answer: Answer;
}

interface Failure extends FailureSpec {
  /** Paths that have already failed once. */
  readonly failed: Set<string>;
}

/** True if `path` is `scope` or below it. */
export function isBelow(path: string, scope: string): boolean {
  return scope === '/' || path === scope || path.startsWith(`${scope}/`);
}

function matches(scope: FaultScope, operation: FuseOperation, path: string): boolean {
  return (scope.operations?.includes(operation) ?? true) && isBelow(path, scope.path);
}

function delayOf({ afterMs, delaysOnce, failed }: Failure, path: string): number {
  const again = failed.has(path);
  failed.add(path);
  return delaysOnce && again ? 0 : afterMs;
}

/** Delays, holds and fails operations, and counts them. Every operation passes through {@link pass} first. */
export class Faults {
  readonly #latencies = new Map<string, Latency>();
  #hangs: FaultScope[] = [];
  #failures: Failure[] = [];
  readonly #lost = new Set<string>();
  readonly #cuts = new Map<string, number>();
  readonly #held = new Set<Held>();
  readonly #waiters = new Set<{ count: number; done: () => void }>();
  readonly #counts = new Map<string, Record<keyof OperationCounts, number>>();

  pass(operation: FuseOperation, path: string, answer: Answer): void {
    this.#countsOf(path)[operation]++;
    this.#admit({ operation, path, answer });
  }

  /** Sets the latency at and below `path`. If several paths match an operation, the longest applies. */
  setLatency(path: string, latency: Latency): void {
    this.#latencies.set(path, latency);
  }

  hang(scope: FaultScope): void {
    this.#hangs.push(scope);
  }

  fail(spec: FailureSpec): void {
    this.#failures.push({ ...spec, failed: new Set() });
  }

  /** Lookups below `path` fail with ENOENT and its listings are empty, as when a daemon has closed its database. */
  lose(path: string): void {
    this.#lost.add(path);
  }

  isLost(path: string): boolean {
    return [...this.#lost].some((scope) => path !== scope && isBelow(path, scope));
  }

  /** Listings at and below `path` end successfully after `entries` entries. */
  cut(path: string, entries: number): void {
    this.#cuts.set(path, entries);
  }

  /** The greatest number of entries that a listing of `path` may return. */
  listingLimit(path: string): number {
    const limits = [...this.#cuts].filter(([scope]) => isBelow(path, scope)).map(([, entries]) => entries);
    return Math.min(Infinity, ...limits);
  }

  /** Ends the faults at and below `path` and continues the operations they held. Latencies stay. */
  heal(path: string): void {
    for (const scope of this.#lost) if (isBelow(scope, path)) this.#lost.delete(scope);
    for (const scope of this.#cuts.keys()) if (isBelow(scope, path)) this.#cuts.delete(scope);
    this.#hangs = this.#hangs.filter((scope) => !isBelow(scope.path, path));
    this.#failures = this.#failures.filter((scope) => !isBelow(scope.path, path));
    for (const held of [...this.#held]) {
      this.#held.delete(held);
      this.#admit(held);
    }
  }

  /** Answers all held operations with this error and ends every hang. */
  abandon(error: number): void {
    this.#hangs = [];
    for (const held of this.#held) held.answer(error);
    this.#held.clear();
  }

  get held(): number {
    return this.#held.size;
  }

  /** Calls `done` once at least `count` operations are held. */
  whenHeld(count: number, done: () => void): void {
    this.#waiters.add({ count, done });
    this.#wake();
  }

  countBytes(path: string, bytes: number): void {
    this.#countsOf(path).readBytes += bytes;
  }

  counts(path: string): OperationCounts {
    const sum = { lookup: 0, list: 0, open: 0, read: 0, change: 0, readBytes: 0 };
    for (const [counted, counts] of this.#counts) {
      if (!isBelow(counted, path)) continue;
      for (const key of Object.keys(sum) as (keyof OperationCounts)[]) sum[key] += counts[key];
    }
    return sum;
  }

  resetCounts(): void {
    this.#counts.clear();
  }

  #admit(held: Held): void {
    const { operation, path, answer } = held;
    if (this.#hangs.some((scope) => matches(scope, operation, path))) {
      this.#held.add(held);
      this.#wake();
      return;
    }
    const failure = this.#failures.find((scope) => matches(scope, operation, path));
    const delayMs = failure ? delayOf(failure, path) : this.#latency(operation, path);
    const error = failure ? -failure.errno : 0;
    if (delayMs > 0) setTimeout(answer, delayMs, error);
    else answer(error);
  }

  #latency(operation: FuseOperation, path: string): number {
    let longest = -1;
    let delayMs = 0;
    for (const [scope, latency] of this.#latencies) {
      if (scope.length <= longest || !isBelow(path, scope)) continue;
      longest = scope.length;
      delayMs = latency[operation] ?? 0;
    }
    return delayMs;
  }

  #wake(): void {
    for (const waiter of this.#waiters) {
      if (this.#held.size < waiter.count) continue;
      this.#waiters.delete(waiter);
      waiter.done();
    }
  }

  #countsOf(path: string): Record<keyof OperationCounts, number> {
    let counts = this.#counts.get(path);
    if (!counts) {
      counts = { lookup: 0, list: 0, open: 0, read: 0, change: 0, readBytes: 0 };
      this.#counts.set(path, counts);
    }
    return counts;
  }
}
