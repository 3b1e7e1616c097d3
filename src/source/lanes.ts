/**
 * I/O lanes: how many calls of each kind may be in libuv's pool at once. A call that hangs in the kernel keeps its
 * thread, and so its place, until the kernel lets go; its caller is freed at the deadline. Data can thus never take
 * the threads of metadata or of the probe.
 */
import { TreeError } from './errors.ts';
import { SourceLimits } from './limits.ts';

export type Callback<T> = (error: Error | null, value: T) => void;
export type LaneName = 'metadata' | 'data' | 'probe' | 'close';

class Call<T = unknown> {
  readonly begin: (done: Callback<T>) => void;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
  readonly onLate: ((value: T) => void) | undefined;
  readonly started: number;
  running = false;
  settled = false;
  previous: Call | undefined;
  next: Call | undefined;

  constructor(
    begin: (done: Callback<T>) => void,
    resolve: (value: T) => void,
    reject: (error: unknown) => void,
    onLate: ((value: T) => void) | undefined,
  ) {
    this.begin = begin;
    this.resolve = resolve;
    this.reject = reject;
    this.onLate = onLate;
    this.started = performance.now();
  }
}

export class Lane {
  readonly name: LaneName;
  limit: number;
  readonly deadline: number;
  /** Calls now in the pool, hung ones included. */
  inFlight = 0;
  /** Calls in the pool whose callers were already told `timeout`. */
  hung = 0;
  readonly #queue: Call[] = [];
  #queueHead = 0;
  /** Every unsettled call in order of arrival, which is the order of their deadlines. */
  #oldest: Call | undefined;
  #newest: Call | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(name: LaneName, limit: number, deadline: number) {
    this.name = name;
    this.limit = limit;
    this.deadline = deadline;
  }

  get waiting(): number {
    return this.#queue.length - this.#queueHead;
  }

  /**
   * Runs one callback-style fs call. Rejects with `timeout` at the deadline, counted from now, and with `busy` when the
   * queue is full. After a rejection the call may still be running: whatever buffer it was given stays its own, and
   * `onLate` gets what it brings home after all.
   */
  run<T>(begin: (done: Callback<T>) => void, onLate?: (value: T) => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.inFlight >= this.limit && this.waiting >= SourceLimits.queue) {
        reject(new TreeError('busy', `the ${this.name} lane is full`));
        return;
      }
      const call = new Call(begin, resolve, reject, onLate) as Call;
      this.#append(call);
      if (this.inFlight < this.limit) this.#start(call);
      else this.#queue.push(call);
    });
  }

  /** Calls that already run are let finish. */
  resize(limit: number): void {
    this.limit = limit;
    this.#startNext();
  }

  #start(call: Call): void {
    this.inFlight += 1;
    call.running = true;
    const done: Callback<unknown> = (error, value) => {
      this.inFlight -= 1;
      this.#startNext();
      if (call.settled) {
        this.hung -= 1;
        if (!error) call.onLate?.(value);
        return;
      }
      this.#settle(call);
      if (error) call.reject(error);
      else call.resolve(value);
    };
    try {
      call.begin(done);
    } catch (error) {
      // Node refuses bad arguments at once; the caller hears of it like of any failure.
      done(error instanceof Error ? error : new Error(String(error)), undefined);
    }
  }

  #startNext(): void {
    while (this.#queueHead < this.#queue.length && this.inFlight < this.limit) {
      const call = this.#queue[this.#queueHead++]!;
      if (this.#queueHead > 256 && this.#queueHead * 2 > this.#queue.length) {
        this.#queue.splice(0, this.#queueHead);
        this.#queueHead = 0;
      }
      if (!call.settled) this.#start(call);
    }
  }

  #append(call: Call): void {
    call.previous = this.#newest;
    if (this.#newest) this.#newest.next = call;
    else this.#oldest = call;
    this.#newest = call;
    // Unreferenced: the call itself keeps the process alive. One timer serves all, as all have the same deadline.
    this.#timer ??= setTimeout(() => this.#expire(), this.deadline).unref();
  }

  #settle(call: Call): void {
    call.settled = true;
    if (call.previous) call.previous.next = call.next;
    else this.#oldest = call.next;
    if (call.next) call.next.previous = call.previous;
    else this.#newest = call.previous;
    call.previous = undefined;
    call.next = undefined;
  }

  #expire(): void {
    this.#timer = undefined;
    const now = performance.now();
    while (this.#oldest && now - this.#oldest.started >= this.deadline - 1) {
      const call = this.#oldest;
      this.#settle(call);
      if (call.running) this.hung += 1;
      call.reject(new TreeError('timeout', `no answer within ${this.deadline / 1000} s (${this.name})`));
    }
    if (this.#oldest) {
      const rest = this.deadline - (now - this.#oldest.started);
      this.#timer = setTimeout(() => this.#expire(), Math.max(1, rest)).unref();
    }
  }
}

export type Lanes = Readonly<Record<LaneName, Lane>>;

export interface LaneOptions {
  /** How many exports share the pool out; one that hangs takes no thread of another. */
  readonly exports?: number;
  readonly poolThreads?: number;
  /** Milliseconds, in place of those of SourceLimits. */
  readonly deadlines?: Partial<Record<LaneName, number>>;
}

/** Places in the lanes of one of so many exports. */
function laneLimits(exports: number, poolThreads: number): Record<LaneName, number> {
  const share = Math.max(8, Math.floor((poolThreads - SourceLimits.spareThreads) / Math.max(1, exports)));
  const small = Math.min(4, Math.max(1, Math.floor(share / 15)));
  const metadata = Math.max(2, Math.floor(share / 3));
  const data = Math.max(4, share - metadata - 2 * small);
  return { probe: small, close: small, metadata, data };
}

/** The lanes of one export. */
export function createLanes({
  exports = 1,
  poolThreads = SourceLimits.poolThreads,
  deadlines = {},
}: LaneOptions = {}): Lanes {
  const limits = laneLimits(exports, poolThreads);
  return {
    probe: new Lane('probe', limits.probe, deadlines.probe ?? SourceLimits.probeDeadline),
    close: new Lane('close', limits.close, deadlines.close ?? SourceLimits.closeDeadline),
    metadata: new Lane('metadata', limits.metadata, deadlines.metadata ?? SourceLimits.metadataDeadline),
    data: new Lane('data', limits.data, deadlines.data ?? SourceLimits.dataDeadline),
  };
}

/** Gives lanes the share of the pool that is theirs now that there are so many exports. */
export function reshareLanes(lanes: Lanes, exports: number): void {
  const limits = laneLimits(exports, SourceLimits.poolThreads);
  for (const lane of Object.values(lanes)) lane.resize(limits[lane.name]);
}
