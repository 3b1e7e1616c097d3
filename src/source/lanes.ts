/**
 * I/O lanes limit how many calls of each kind may be in libuv's thread pool. A call that hangs in the kernel keeps its thread,
 * and so its place, until the kernel returns; its caller gets an error at the deadline. Reads can thus never take the threads
 * of metadata calls or of the probe.
 *
 * A call that has run for a second counts as slow: it may hang. Slow calls do not count towards the concurrency limit, but
 * their threads are bounded, and the last threads are reserved for keys that recently answered quickly. A key is a file in the
 * data lane and a directory in the metadata lane. A key without an answer so far gets one place, a slow one a few. A file with
 * a slow call gets no further place; in a directory only that entry is affected, and others continue. So any number of readers
 * of hung files leaves places for healthy ones.
 *
 * Several mounts may share a lane. The calls of one take at most half of the places that the slow calls of the others leave,
 * so that a mount that hangs never takes the last place of a healthy one.
 */
import { TreeError } from './errors.ts';
import { SourceLimits } from './limits.ts';

export type Callback<T> = (error: Error | null, value: T) => void;
export type LaneName = 'metadata' | 'data' | 'probe' | 'close';

export interface CallOptions<T> {
  /** Calls of this key that may run at once. Default: SourceLimits.callsPerKey. */
  readonly most?: number;
  /** Gets the result if the call succeeds after its deadline. */
  readonly onLate?: (value: T) => void;
  /** Called when the kernel has finished the call, even after its deadline, or when the call was refused. */
  readonly onEnd?: () => void;
  /** Called before a queued call begins: false if the answer is no longer wanted. */
  readonly wanted?: (() => boolean) | undefined;
}

interface Call {
  readonly key: Key;
  readonly begin: (done: Callback<unknown>) => void;
  readonly options: CallOptions<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** performance.now() when the call was queued; once it runs, when it began. */
  since: number;
  settled: boolean;
}

/** Counts the running calls of one mount. */
class Owner {
  /** Calls in the pool, and those of them that are not slow. */
  inFlight = 0;
  quick = 0;

  get slow(): number {
    return this.inFlight - this.quick;
  }
}

/** The calls of one file or directory, and how quickly it answers. */
class Key {
  readonly name: string;
  owner: Owner;
  /** Oldest first. */
  readonly running = new Set<Call>();
  readonly waiting: Call[] = [];
  /** How long the last call took, in ms; undefined before the first answer. */
  lastMs: number | undefined;
  /** performance.now() of the last answer. */
  answeredAt = 0;

  constructor(name: string, owner: Owner) {
    this.name = name;
    this.owner = owner;
  }

  /** Whether the last call returned quickly. */
  get isPrompt(): boolean {
    return this.lastMs !== undefined && this.lastMs < SourceLimits.slowCall;
  }

  /** Whether a quick answer came recently. */
  isProven(now: number): boolean {
    return this.isPrompt && now - this.answeredAt < SourceLimits.provenFor;
  }

  /** The number of running calls that take longer than usual for this key. */
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
  /** Calls in the pool whose callers already got `timeout`. */
  hung = 0;
  /** Calls that wait for a place. */
  waiting = 0;
  /** By the place of the mount. */
  readonly #owners = new Map<string, Owner>();
  readonly #keys = new Map<string, Key>();
  /** Keys with waiting calls, in the order of their turns. */
  readonly #queue = new Set<Key>();
  /** Calls in the pool that are not slow yet, oldest first, which is the order of their deadlines. */
  readonly #quick = new Set<Call>();
  /** Slow calls in the pool whose callers still wait, oldest first. */
  readonly #slow = new Set<Call>();
  #timer: NodeJS.Timeout | undefined;
  #recheck: NodeJS.Timeout | undefined;
  #activeKeys = 0;

  /** Returns the place of the mount in which a key lies. */
  baseOf: (key: string) => string = () => '';

  constructor(name: LaneName, limit: number, deadline: number) {
    this.name = name;
    this.limit = limit;
    this.deadline = deadline;
  }

  /**
   * Runs one callback-style fs call for `key`. Rejects with `timeout` at the deadline, counted from the call's begin; with
   * `busy` if too many calls wait or if it has waited for longer than the deadline; with `cancelled` if it is no longer wanted.
   * After a rejection the call may still run: never use its buffer again.
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

  /** Called when `baseOf` has new answers. A key with running calls keeps its owner until the next time. */
  regroup(): void {
    for (const key of this.#keys.values())
      if (key.running.size === 0) key.owner = this.#owner(this.baseOf(key.name));
    const used = new Set([...this.#keys.values()].map(({ owner }) => owner));
    for (const [base, owner] of this.#owners)
      if (owner.inFlight === 0 && !used.has(owner)) this.#owners.delete(base);
    this.#beginNext();
  }

  /** Changes the limit. Running calls are not affected. */
  resize(limit: number): void {
    this.limit = limit;
    this.#beginNext();
  }

  /** Refuses the waiting calls of keys for which `concerns` is true. */
  dismiss(error: TreeError, concerns: (key: string) => boolean): void {
    for (const key of [...this.#queue]) {
      if (concerns(key.name)) this.#dismissKey(key, error);
    }
  }

  /** Refuses the waiting calls of the mount at `base`. */
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

  /** Whether rules for keys apply. The probe and close lanes have one key for each mount and only the limit applies. */
  get #isShared(): boolean {
    return this.name === 'data' || this.name === 'metadata';
  }

  /** Whether a slow call concerns one entry only, and not its whole key. */
  get #blamesCalls(): boolean {
    return this.name === 'metadata';
  }

  /** The greatest number of running calls that are not slow. */
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
    // The first call of a quick key may use the reserved places; further calls may not.
    if (this.#quick.size >= this.#concurrency) return false;
    if (!key.isPrompt) return quick < (key.lastMs === undefined ? 1 : SourceLimits.callsPerSlowKey);
    if (quick === 0) return true;
    if (this.inFlight >= this.limit - reserve) return false;
    const share = Math.max(1, Math.floor(this.#concurrency / Math.max(1, this.#activeKeys)));
    return quick < Math.min(call.options.most ?? SourceLimits.callsPerKey, share);
  }

  /** Places reserved for keys that recently answered quickly. */
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

  /** No event tells that a running call has become slow, so check the waiting calls from time to time. */
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
      // Node throws for bad arguments: report it like any other failure.
      done(error instanceof Error ? error : new Error(String(error)), undefined);
    }
  }

  #late(call: Call, error: Error | null, value: unknown): void {
    this.hung -= 1;
    if (!error) call.options.onLate?.(value);
  }

  /** Begins waiting calls; keys that recently answered quickly come first. */
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
    // Move the key to the end: other keys get their turn first.
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

  /** One timer serves all calls, as they have the same deadline. It is unreferenced: the call keeps the process alive. */
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

  /** A call that never began fails with `busy`, not `timeout`. Returns since when the key's next call has waited. */
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
  /** Number of exports that share the pool. Each has its own part, so that a hung one takes no thread of another. */
  readonly exports?: number;
  readonly poolThreads?: number;
  /** Milliseconds; override those of SourceLimits. */
  readonly deadlines?: Partial<Record<LaneName, number>>;
}

/** The greatest number of exports: each needs at least `threadsPerExport` threads of the pool. */
export const exportsMax = Math.floor(
  (SourceLimits.poolThreads - SourceLimits.spareThreads) / SourceLimits.threadsPerExport,
);

/** The lane limits of one export. Each of its mounts gets a place for its probe, up to a quarter of the export's share. */
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

/** Adapts the lane limits to the number of exports and to the number of mounts in this export. */
export function reshareLanes(lanes: Lanes, exports: number, mounts: number): void {
  const limits = laneLimits(exports, SourceLimits.poolThreads, mounts);
  for (const lane of Object.values(lanes)) lane.resize(limits[lane.name]);
}
