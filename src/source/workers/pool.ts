/**
 * Worker threads that look up names and read directories. One request to a worker replaces many calls of libuv's thread pool,
 * each with its own round trip to the event loop. A worker whose call hangs is put aside until the kernel returns, and another
 * worker takes its place. The number of workers is limited. If none is available, the caller makes the calls by the lanes.
 */
import { SHARE_ENV, Worker } from 'node:worker_threads';
import { TreeError } from '../errors.ts';
import { SourceLimits } from '../limits.ts';
import { memoryBytes, Phase, viewsOf, Word } from './memory.mjs';
import type { Reply, Request, Views } from './survey.mjs';

export { entriesMost } from './memory.mjs';

/** The result of a request. `views` shows the shared memory, which the next request overwrites: copy the data out at once. */
export interface Finding {
  readonly views: Views;
  readonly reply: Reply;
  /** Number of entries of the listing in the shared memory; -1 if there is no listing there. */
  readonly listed: number;
  /** Number of entries that were looked up. */
  readonly looked: number;
  /** Whether the result is incomplete, as the lookup of the next entry, or the listing of the object, hangs. */
  readonly isCut: boolean;
}

/** The mount that makes the requests. Its hung workers are counted, so that one hung mount cannot take all workers. */
export interface Owner {
  /** Number of workers put aside with a request of this mount. */
  aside: number;
}

export interface JobOptions<T> {
  readonly owner: Owner;
  /** Milliseconds after which a hung request fails with `timeout`. */
  readonly deadline: number;
  readonly take: (finding: Finding) => T;
  /** Called when a request ends after it was given up with `timeout` or an incomplete result. `isWell`: without an error. */
  readonly onLate?: ((isWell: boolean) => void) | undefined;
}

interface Job {
  readonly request: Request;
  readonly options: JobOptions<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** performance.now() when the job was queued; once it runs, when it began. */
  since: number;
  settled: boolean;
}

class Hand {
  readonly worker: Worker;
  readonly views: Views;
  job: Job | undefined;
  /** Whether the thread has started and accepts requests. */
  isReady = false;
  /** Whether its call hangs, so that another worker may run in its place. */
  isAside = false;
  #steps = 0;
  /** Number of checks in a row that saw no progress. */
  stills = 0;
  /** performance.now() when the worker became idle. */
  idleSince = performance.now();

  /** Resolves when the worker is ready or has died. */
  readonly ready: Promise<void>;
  #settleReady: () => void = () => undefined;

  constructor(script: URL) {
    this.ready = new Promise((resolve) => {
      this.#settleReady = resolve;
    });
    const memory = new SharedArrayBuffer(memoryBytes);
    this.views = viewsOf(memory);
    this.worker = new Worker(script, {
      workerData: memory,
      env: SHARE_ENV,
      execArgv: [],
      trackUnmanagedFds: false,
      resourceLimits: { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 128 },
    });
  }

  begin(job: Job): void {
    this.job = job;
    job.since = performance.now();
    this.stills = 0;
    this.#steps = Atomics.load(this.views.control, Word.steps);
    // The worker keeps the process alive only while it works.
    this.worker.ref();
    this.worker.postMessage(job.request);
    Atomics.add(this.views.control, Word.signal, 1);
    Atomics.notify(this.views.control, Word.signal);
  }

  settleReady(): void {
    this.#settleReady();
  }

  /** Checks whether the worker has made progress since the last check. */
  look(): void {
    const steps = Atomics.load(this.views.control, Word.steps);
    this.stills = steps === this.#steps ? this.stills + 1 : 0;
    this.#steps = steps;
  }
}

/** The methods of WorkerPool that a mount uses. */
export interface Workers {
  start(): Promise<void>;
  run<T>(request: Request, options: JobOptions<T>): Promise<T | undefined>;
  dismiss(owner: Owner, error: TreeError): void;
}

export class WorkerPool implements Workers {
  readonly #hands = new Set<Hand>();
  readonly #queue: Job[] = [];
  #timer: NodeJS.Timeout | undefined;
  /** performance.now() of the last look at the workers. */
  #lookedAt = Number.NEGATIVE_INFINITY;
  /** performance.now() of the latest crashes. */
  #crashes: number[] = [];
  readonly #script: URL;

  /** @param script the workers' code; replaced in tests. */
  constructor(script = new URL('worker.mjs', import.meta.url)) {
    this.#script = script;
  }

  /** Number of workers with a request, including hung ones. */
  get busy(): number {
    let busy = 0;
    for (const { job } of this.#hands) if (job) busy += 1;
    return busy;
  }

  /** Number of workers put aside, as their call hangs. */
  get aside(): number {
    let aside = 0;
    for (const { isAside } of this.#hands) if (isAside) aside += 1;
    return aside;
  }

  /** Starts one worker. Resolves when it is ready or has died. Until then all calls go by the lanes. */
  async start(): Promise<void> {
    if (this.#hands.size === 0 && this.#isSound()) this.#hire();
    const hands = [...this.#hands];
    if (hands.length === 0 || hands.some(({ isReady }) => isReady)) return;
    await Promise.race(hands.map(({ ready }) => ready));
  }

  /**
   * Runs a request on a worker. Resolves with undefined if no worker is available, or if the worker died: then the caller must
   * use the lanes. Rejects with `timeout` if the request hangs until the deadline.
   */
  run<T>(request: Request, options: JobOptions<T>): Promise<T | undefined> {
    if (options.owner.aside >= SourceLimits.workersPerMount || this.#queue.length >= SourceLimits.workerQueue)
      return Promise.resolve(undefined);
    return new Promise<T | undefined>((resolve, reject) => {
      const job = { request, options, resolve, reject, since: performance.now(), settled: false } as Job;
      this.#queue.push(job);
      this.#beginNext();
    });
  }

  /** Rejects the queued requests of an owner. */
  dismiss(owner: Owner, error: TreeError): void {
    for (let i = this.#queue.length - 1; i >= 0; i--) {
      const job = this.#queue[i]!;
      if (job.options.owner !== owner) continue;
      this.#queue.splice(i, 1);
      job.reject(error);
    }
  }

  /** Ends all workers; their requests resolve with undefined. A hung worker ends when the kernel returns from its call. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    const hands = [...this.#hands];
    this.#hands.clear();
    for (const job of this.#queue.splice(0)) job.resolve(undefined);
    for (const { job } of hands) job?.resolve(undefined);
    await Promise.all(hands.map(({ worker }) => worker.terminate()));
  }

  #beginNext(): void {
    while (this.#queue.length > 0) {
      const hand = this.#idle();
      if (!hand) break;
      hand.begin(this.#queue.shift()!);
    }
    if (this.#queue.length > 0 && !this.#mayCome()) {
      for (const job of this.#queue.splice(0)) job.resolve(undefined);
      return;
    }
    if (this.busy > 0 || this.#queue.length > 0) this.#watch();
  }

  #idle(): Hand | undefined {
    for (const hand of this.#hands) if (hand.isReady && !hand.job) return hand;
    return undefined;
  }

  /** Starts another worker if the queue is long. False if no ready worker is left for the queue: all hang, start or have died. */
  #mayCome(): boolean {
    const running = this.#hands.size - this.aside;
    const isEnough = running >= SourceLimits.workersAtOnce || (running > 0 && this.#queue.length < backlog);
    if (!isEnough && this.#hands.size < SourceLimits.workers && this.#isSound()) this.#hire();
    for (const { isReady, isAside } of this.#hands) if (isReady && !isAside) return true;
    return false;
  }

  /** Whether workers may be started: not for a while after several crashes. */
  #isSound(): boolean {
    const before = performance.now() - crashWindow;
    this.#crashes = this.#crashes.filter((at) => at > before);
    return this.#crashes.length < crashesMost;
  }

  #hire(): Hand {
    const hand = new Hand(this.#script);
    this.#hands.add(hand);
    hand.worker.on('message', (reply: Reply) => {
      if (hand.isReady) this.#done(hand, reply);
      else this.#ready(hand);
    });
    hand.worker.on('error', () => this.#crashes.push(performance.now()));
    hand.worker.on('exit', () => this.#lost(hand));
    this.#watch();
    return hand;
  }

  #ready(hand: Hand): void {
    hand.isReady = true;
    // While it starts, the worker keeps the process alive; from now on only while it works.
    hand.worker.unref();
    hand.idleSince = performance.now();
    hand.settleReady();
    this.#beginNext();
  }

  #done(hand: Hand, reply: Reply): void {
    const job = hand.job!;
    hand.job = undefined;
    hand.idleSince = performance.now();
    hand.worker.unref();
    this.#takeBack(hand, job);
    if (job.settled) job.options.onLate?.(!reply.failure);
    else this.#settle(hand, job, reply, false);
    this.#beginNext();
  }

  #lost(hand: Hand): void {
    this.#hands.delete(hand);
    hand.settleReady();
    const { job } = hand;
    if (!job) return;
    this.#takeBack(hand, job);
    if (job.settled) job.options.onLate?.(false);
    job.resolve(undefined);
    this.#beginNext();
  }

  #takeBack(hand: Hand, job: Job): void {
    if (!hand.isAside) return;
    hand.isAside = false;
    job.options.owner.aside -= 1;
  }

  #settle({ views }: Hand, job: Job, reply: Reply, isCut: boolean): void {
    job.settled = true;
    const { control } = views;
    try {
      job.resolve(
        job.options.take({
          views,
          reply,
          listed: Atomics.load(control, Word.listed),
          looked: Atomics.load(control, Word.looked),
          isCut,
        }),
      );
    } catch (error) {
      job.reject(error);
    }
  }

  // -- Hung workers ------------------------------------------------------------------------------------------------------

  #watch(): void {
    this.#timer ??= setInterval(() => this.#look(), SourceLimits.workerInterval).unref();
  }

  #look(): void {
    const now = performance.now();
    // If this timer is late, the machine is busy: then missing progress of a worker does not mean that it hangs.
    const isOnTime = now - this.#lookedAt < 2 * SourceLimits.workerInterval;
    this.#lookedAt = now;
    if (isOnTime) for (const hand of this.#hands) if (hand.job) this.#lookAt(hand, hand.job, now);
    // Requests that have waited for long go by the lanes instead.
    while (this.#queue.length > 0 && now - this.#queue[0]!.since >= SourceLimits.workerPatience)
      this.#queue.shift()!.resolve(undefined);
    this.#beginNext();
    this.#dismissIdle(now);
    if (this.#hands.size > 0 || this.#queue.length > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #lookAt(hand: Hand, job: Job, now: number): void {
    hand.look();
    if (hand.stills === 0) this.#takeBack(hand, job);
    if (hand.stills < SourceLimits.workerPatience / SourceLimits.workerInterval) return;
    if (!hand.isAside) {
      hand.isAside = true;
      job.options.owner.aside += 1;
    }
    if (job.settled) return;
    const { control } = hand.views;
    const phase = Atomics.load(control, Word.phase);
    const { names, object } = job.request;
    const isBesides = phase === Phase.entries || phase === Phase.hint;
    if (names || isBesides || (phase === Phase.listing && object !== undefined)) {
      // The lookup of one entry hangs, or the listing of an object that was looked up: return what was found before.
      Atomics.store(control, Word.stop, 1);
      this.#settle(hand, job, {}, true);
    } else if (now - job.since >= job.options.deadline) {
      job.settled = true;
      job.reject(new TreeError('timeout', `no answer within ${job.options.deadline / 1000} s (worker)`));
    }
  }

  #dismissIdle(now: number): void {
    for (const hand of this.#hands) {
      if (hand.job || now - hand.idleSince < SourceLimits.workerIdle) continue;
      this.#hands.delete(hand);
      void hand.worker.terminate();
    }
  }
}

/** Number of waiting requests at which another worker is started. */
const backlog = 8;
/** After this many crashes within `crashWindow` milliseconds, no worker is started. */
const crashesMost = 3;
const crashWindow = 60_000;

/** The pool that the whole process shares. */
export const sourceWorkers = new WorkerPool();
