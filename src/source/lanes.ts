/**
 * I/O lanes: how many calls of each kind may be in libuv's pool at once. A call that hangs in the kernel keeps its
 * thread, and so its place, until the kernel lets go; its caller is freed at the deadline. Data can thus never take
 * the threads of metadata or of the probe.
 *
 * A call that has run for a second counts as slow: it may hang. Slow calls do not count among those that may run at once, but
 * the threads that they hold are bounded, and the last threads are for keys that lately answered quickly. Keys are files for
 * data, directories for metadata. One that was never seen to answer gets one place, one that answers slowly a few. A file that
 * does not answer gets no further place; in a directory it is one entry that does not answer, and the others go on. So any
 * number of readers of what hangs leaves places for what is healthy.
 *
 * Several sources may share a lane. The calls of one take at most half of the places that the slow ones of the others leave,
 * so that a source that hangs never takes the last place of one that is well.
 */
import { TreeError } from './errors.ts';
import { SourceLimits } from './limits.ts';

export type Callback<T> = (error: Error | null, value: T) => void;
export type LaneName = 'metadata' | 'data' | 'probe' | 'close';

export interface CallOptions<T> {
  /** Calls of this key that may run at once. Default: SourceLimits.callsPerKey. */
  readonly most?: number;
  /** Gets what the call brings home after its deadline. */
  readonly onLate?: (value: T) => void;
  /** Called when the kernel has let go of the call, be it after its deadline, or when it never began. */
  readonly onEnd?: () => void;
  /** Asked before a call begins that had to wait: false when nobody wants the answer any more. */
  readonly wanted?: (() => boolean) | undefined;
}

interface Call {
  readonly key: Key;
  readonly begin: (done: Callback<unknown>) => void;
  readonly options: CallOptions<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** performance.now(); when it was asked for, then when it began. */
  since: number;
  settled: boolean;
}

/** The calls of one source. */
class Owner {
  /** Calls in the pool, and those of them that are not slow. */
  inFlight = 0;
  quick = 0;

  get slow(): number {
    return this.inFlight - this.quick;
  }
}

/** What is known of one file or directory. */
class Key {
  readonly name: string;
  readonly owner: Owner;
  /** In order of their beginning. */
  readonly running = new Set<Call>();
  readonly waiting: Call[] = [];
  /** How long the last call took, in ms; undefined before the first answer. */
  lastMs: number | undefined;
  /** performance.now() of that. */
  answeredAt = 0;

  constructor(name: string, owner: Owner) {
    this.name = name;
    this.owner = owner;
  }

  /** Whether the last call came back quickly. */
  get isPrompt(): boolean {
    return this.lastMs !== undefined && this.lastMs < SourceLimits.slowCall;
  }

  /** Whether that was just now. */
  isProven(now: number): boolean {
    return this.isPrompt && now - this.answeredAt < SourceLimits.provenFor;
  }

  /** Calls of it that have been running for longer than its calls do. */
  slow(now: number): number {
    const usual = Math.max(SourceLimits.slowCall, 2 * (this.lastMs ?? 0));
    let slow = 0;
    for (const { since } of this.running) {
      if (now - since < usual) break;
      slow += 1;
    }
    return slow;
  }
}

export class Lane {
  readonly name: LaneName;
  readonly deadline: number;
  limit: number;
  /** Calls now in the pool, hung ones included. */
  inFlight = 0;
  /** Calls in the pool whose callers were already told `timeout`. */
  hung = 0;
  /** Calls that wait for a place. */
  waiting = 0;
  /** By the place of their mounts. */
  readonly #owners = new Map<string, Owner>();
  readonly #keys = new Map<string, Key>();
  /** Keys with calls that wait, in the order in which they get their turn. */
  readonly #queue = new Set<Key>();
  /** Calls in the pool whose callers wait, in order of their beginning, which is the order of their deadlines. */
  readonly #quick = new Set<Call>();
  /** Those of them that have become slow, in that order as well. */
  readonly #slow = new Set<Call>();
  #timer: NodeJS.Timeout | undefined;
  #recheck: NodeJS.Timeout | undefined;
  #activeKeys = 0;

  /** The place of the mount in which a key lies. */
  baseOf: (key: string) => string = () => '';

  constructor(name: LaneName, limit: number, deadline: number) {
    this.name = name;
    this.limit = limit;
    this.deadline = deadline;
  }

  /**
   * Runs one callback-style fs call for `key`. Rejects with `timeout` at the deadline, counted from when the call began, with
   * `busy` when too many wait or when it could not begin for as long as that, and with `cancelled` when nobody wants it any
   * more. After a rejection the call may still be running: whatever buffer it was given stays its own.
   */
  run<T>(key: string, begin: (done: Callback<T>) => void, options: CallOptions<T> = {}): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const owner = this.#key(key);
      const call = {
        key: owner,
        begin,
        options,
        resolve,
        reject,
        since: performance.now(),
        settled: false,
      } as Call;
      if (owner.waiting.length === 0 && this.#mayBegin(owner, call)) {
        this.#begin(call);
        return;
      }
      if (this.waiting >= SourceLimits.queue || owner.waiting.length >= SourceLimits.queuePerKey) {
        this.#refuse(call, new TreeError('busy', `the ${this.name} lane is full`));
        return;
      }
      owner.waiting.push(call);
      this.waiting += 1;
      this.#queue.add(owner);
      this.#arm();
      this.#recheckSoon();
    });
  }

  /** Calls that already run are let finish. */
  resize(limit: number): void {
    this.limit = limit;
    this.#beginNext();
  }

  /** Refuses whatever has not begun of the keys that `concerns` names. */
  dismiss(error: TreeError, concerns: (key: string) => boolean): void {
    for (const key of [...this.#queue]) {
      if (concerns(key.name)) this.#dismissKey(key, error);
    }
  }

  /** Refuses whatever has not begun of the source whose mount is at `base`. */
  dismissOf(base: string, error: TreeError): void {
    const owner = this.#owner(base);
    for (const key of [...this.#queue]) if (key.owner === owner) this.#dismissKey(key, error);
  }

  #dismissKey(key: Key, error: TreeError): void {
    this.#queue.delete(key);
    this.waiting -= key.waiting.length;
    for (const call of key.waiting.splice(0)) this.#refuse(call, error);
  }

  #owner(base: string): Owner {
    let owner = this.#owners.get(base);
    if (!owner) this.#owners.set(base, (owner = new Owner()));
    return owner;
  }

  #key(name: string): Key {
    let key = this.#keys.get(name);
    if (!key) {
      key = new Key(name, this.#owner(this.baseOf(name)));
      this.#keys.set(name, key);
      if (this.#keys.size > SourceLimits.standings) this.#forgetOldest();
    }
    return key;
  }

  #forgetOldest(): void {
    for (const [name, key] of this.#keys) {
      if (key.running.size > 0 || key.waiting.length > 0) continue;
      this.#keys.delete(name);
      return;
    }
  }

  /** The probe and close lanes have one key each: there a place is a place. */
  get #isShared(): boolean {
    return this.name === 'data' || this.name === 'metadata';
  }

  /** Whether a slow call speaks of its own object only, and not of its key. */
  get #blamesCalls(): boolean {
    return this.name === 'metadata';
  }

  /** Calls that are not slow and may run at once. */
  get #concurrency(): number {
    return Math.min(this.limit, SourceLimits.concurrency);
  }

  #mayBegin(key: Key, call: Call, now = performance.now()): boolean {
    if (this.inFlight >= this.limit) return false;
    this.#age(now);
    if (this.#owners.size > 1 && this.#takesTooMuch(key.owner)) return false;
    if (!this.#isShared) return true;
    const reserve = this.#reserve;
    const isProven = key.isProven(now);
    if (!isProven && this.inFlight >= this.limit - reserve) return false;
    const slow = key.running.size === 0 ? 0 : key.slow(now);
    if (slow > 0 && (!this.#blamesCalls || this.hung + this.#slow.size >= this.limit / 2)) return false;
    const quick = key.running.size - slow;
    // The first call of a file or directory that is known to be well comes before the second one of any other.
    if (this.#quick.size >= this.#concurrency) return false;
    if (!key.isPrompt) return quick < (key.lastMs === undefined ? 1 : SourceLimits.callsPerSlowKey);
    if (quick === 0) return true;
    if (this.inFlight >= this.limit - reserve) return false;
    const share = Math.max(1, Math.floor(this.#concurrency / Math.max(1, this.#activeKeys)));
    return quick < Math.min(call.options.most ?? SourceLimits.callsPerKey, share);
  }

  /** Places for keys that have just answered quickly. */
  get #reserve(): number {
    return this.#isShared ? this.limit >> 2 : 0;
  }

  #takesTooMuch({ inFlight, slow }: Owner): boolean {
    const others = this.inFlight - this.#quick.size - slow;
    return inFlight >= (this.limit - this.#reserve - others) / 2;
  }

  #age(now: number): void {
    for (const call of this.#quick) {
      if (now - call.since < SourceLimits.slowCall) return;
      this.#noLongerQuick(call);
      this.#slow.add(call);
    }
  }

  #noLongerQuick(call: Call): boolean {
    if (!this.#quick.delete(call)) return false;
    call.key.owner.quick -= 1;
    return true;
  }

  /** That a call has become slow is no event; those that wait behind it have to look. */
  #recheckSoon(): void {
    this.#recheck ??= setTimeout(() => {
      this.#recheck = undefined;
      this.#beginNext();
      if (this.#queue.size > 0) this.#recheckSoon();
    }, SourceLimits.slowCall / 4).unref();
  }

  #begin(call: Call): void {
    const { key } = call;
    this.inFlight += 1;
    if (key.running.size === 0) this.#activeKeys += 1;
    call.since = performance.now();
    key.running.add(call);
    this.#quick.add(call);
    key.owner.inFlight += 1;
    key.owner.quick += 1;
    this.#arm();
    const done: Callback<unknown> = (error, value) => {
      this.inFlight -= 1;
      key.owner.inFlight -= 1;
      key.running.delete(call);
      if (key.running.size === 0) this.#activeKeys -= 1;
      key.answeredAt = performance.now();
      key.lastMs = key.answeredAt - call.since;
      if (call.settled) this.#late(call, error, value);
      else {
        this.#settle(call);
        if (error) call.reject(error);
        else call.resolve(value);
      }
      call.options.onEnd?.();
      if (this.#queue.size > 0) this.#beginNext();
    };
    try {
      call.begin(done);
    } catch (error) {
      // Node refuses bad arguments at once; the caller hears of it like of any failure.
      done(error instanceof Error ? error : new Error(String(error)), undefined);
    }
  }

  #late(call: Call, error: Error | null, value: unknown): void {
    this.hung -= 1;
    if (!error) call.options.onLate?.(value);
  }

  /** Those known to be well come first. */
  #beginNext(): void {
    const now = performance.now();
    if (this.#isShared) for (const key of this.#queue) if (key.isProven(now)) this.#beginOf(key, now);
    for (const key of this.#queue) {
      if (this.inFlight >= this.limit) return;
      this.#beginOf(key, now);
    }
  }

  #beginOf(key: Key, now: number): void {
    if (!this.#mayBegin(key, key.waiting[0]!, now)) return;
    const call = key.waiting.shift()!;
    this.waiting -= 1;
    // The others of this key get their turn after those of the other keys.
    this.#queue.delete(key);
    if (key.waiting.length > 0) this.#queue.add(key);
    if (call.options.wanted?.() === false) this.#refuse(call, new TreeError('cancelled'));
    else this.#begin(call);
  }

  #refuse(call: Call, error: TreeError): void {
    call.settled = true;
    call.reject(error);
    call.options.onEnd?.();
  }

  #settle(call: Call): void {
    call.settled = true;
    if (!this.#noLongerQuick(call)) this.#slow.delete(call);
  }

  /** Unreferenced: the call itself keeps the process alive. One timer serves all, as all have the same deadline. */
  #arm(): void {
    this.#timer ??= setTimeout(() => this.#expire(), this.deadline).unref();
  }

  #expire(): void {
    this.#timer = undefined;
    const before = performance.now() - this.deadline + 1;
    let oldest = Infinity;
    for (const call of [...this.#slow, ...this.#quick]) {
      oldest = call.since;
      if (call.since > before) break;
      this.#settle(call);
      this.hung += 1;
      call.reject(new TreeError('timeout', `no answer within ${this.deadline / 1000} s (${this.name})`));
    }
    for (const key of this.#queue)
      oldest = Math.min(oldest, this.#expireWaiting(key, before - SourceLimits.queueSlack));
    if (this.#slow.size + this.#quick.size + this.#queue.size === 0) return;
    const rest = Math.max(1, oldest + this.deadline - performance.now());
    this.#timer = setTimeout(() => this.#expire(), Math.min(rest, this.deadline)).unref();
  }

  /** What never began is not to blame: it may come again. Returns since when the next of the key has waited. */
  #expireWaiting(key: Key, before: number): number {
    while (key.waiting.length > 0 && key.waiting[0]!.since <= before) {
      const call = key.waiting.shift()!;
      this.waiting -= 1;
      this.#refuse(call, new TreeError('busy', `no place in the ${this.name} lane`));
    }
    if (key.waiting.length === 0) this.#queue.delete(key);
    return key.waiting[0]?.since ?? Infinity;
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

/** Exports that can be served at once: each has a floor of threads, and together they have no more than the pool. */
export const exportsMax = Math.floor(
  (SourceLimits.poolThreads - SourceLimits.spareThreads) / SourceLimits.threadsPerExport,
);

/** Places in the lanes of one of so many exports. Each of its mounts has a place for its own probe, as far as there are. */
function laneLimits(exports: number, poolThreads: number, mounts = 1): Record<LaneName, number> {
  const share = Math.max(
    SourceLimits.threadsPerExport,
    Math.floor((poolThreads - SourceLimits.spareThreads) / Math.max(1, exports)),
  );
  const small = Math.min(4, Math.max(1, Math.floor(share / 15)));
  const metadata = Math.max(2, Math.floor(share / 3));
  const probe = Math.max(small, Math.min(mounts, Math.floor(share / 4)));
  return { probe, close: small, metadata, data: share - metadata - probe - small };
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
    data: new Lane('data', limits.data, deadlines.data ?? SourceLimits.readDeadline),
  };
}

/** Gives lanes the share of the pool that is theirs now that there are so many exports, and so many mounts in this one. */
export function reshareLanes(lanes: Lanes, exports: number, mounts: number): void {
  const limits = laneLimits(exports, SourceLimits.poolThreads, mounts);
  for (const lane of Object.values(lanes)) lane.resize(limits[lane.name]);
}
