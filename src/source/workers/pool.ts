/**
 * Threads that look at names and directories: what would be many calls of the pool, each with its way there and back, is one
 * request here. A worker whose call does not come back is put aside until the kernel lets it go, and another takes its place;
 * their number is bounded, and whoever finds none goes the long way, by the lanes.
 */
import { SHARE_ENV, Worker } from 'node:worker_threads';
import { TreeError } from '../errors.ts';
import { SourceLimits } from '../limits.ts';
import { memoryBytes, Phase, viewsOf, Word } from './memory.mjs';
import type { Reply, Request, Views } from './survey.mjs';

export { entriesMost } from './memory.mjs';

/** What was found, while it is in the shared memory: it has to be taken out at once. */
export interface Finding {
  readonly views: Views;
  readonly reply: Reply;
  /** Entries of a listing in the shared memory; -1 when there is none. */
  readonly listed: number;
  /** Entries that were looked at. */
  readonly looked: number;
  /** Whether the next entry, or the listing of what was found, does not come back. */
  readonly isCut: boolean;
}

/** Whose requests they are: a mount that hangs must not take all workers. */
export interface Owner {
  /** Its workers that were put aside. */
  aside: number;
}

export interface JobOptions<T> {
  readonly owner: Owner;
  /** Milliseconds after which a call that does not come back is given up with `timeout`. */
  readonly deadline: number;
  readonly take: (finding: Finding) => T;
  /** Called when what was given up, be it in part, has come back. */
  readonly onLate?: ((isWell: boolean) => void) | undefined;
}

interface Job {
  readonly request: Request;
  readonly options: JobOptions<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** performance.now(); when it was asked for, then when it began. */
  since: number;
  settled: boolean;
}

class Hand {
  readonly worker: Worker;
  readonly views: Views;
  job: Job | undefined;
  /** Whether it has begun to wait for requests. */
  isReady = false;
  /** Whether its call has not come back for a while, so that another worker may run in its place. */
  isAside = false;
  #steps = 0;
  /** Looks in a row that have seen no step. */
  stills = 0;
  /** performance.now() since when it is idle. */
  idleSince = performance.now();

  /** Resolves when it is ready, or has died before. */
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
    // Only work keeps the process alive.
    this.worker.ref();
    this.worker.postMessage(job.request);
    Atomics.add(this.views.control, Word.signal, 1);
    Atomics.notify(this.views.control, Word.signal);
  }

  settleReady(): void {
    this.#settleReady();
  }

  /** Notes whether it has done a step since this was asked last. */
  look(): void {
    const steps = Atomics.load(this.views.control, Word.steps);
    this.stills = steps === this.#steps ? this.stills + 1 : 0;
    this.#steps = steps;
  }
}

/** What a mount needs of it. */
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

  /** @param script replaced in tests: what a worker runs. */
  constructor(script = new URL('worker.mjs', import.meta.url)) {
    this.#script = script;
  }

  /** Workers that have something to do, those that hang included. */
  get busy(): number {
    let busy = 0;
    for (const { job } of this.#hands) if (job) busy += 1;
    return busy;
  }

  /** Workers whose call does not come back. */
  get aside(): number {
    let aside = 0;
    for (const { isAside } of this.#hands) if (isAside) aside += 1;
    return aside;
  }

  /** Makes one worker, and resolves when it is ready or has died. Until then everything goes by the lanes. */
  async start(): Promise<void> {
    if (this.#hands.size === 0 && this.#isSound()) this.#hire();
    const hands = [...this.#hands];
    if (hands.length === 0 || hands.some(({ isReady }) => isReady)) return;
    await Promise.race(hands.map(({ ready }) => ready));
  }

  /**
   * Has a request done. Resolves with undefined when no worker is to be had, or the one that did it has died: then it has to be
   * asked for in another way. Rejects with `timeout` when the call does not come back until the deadline.
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

  /** Refuses what has not begun of an owner. */
  dismiss(owner: Owner, error: TreeError): void {
    for (let i = this.#queue.length - 1; i >= 0; i--) {
      const job = this.#queue[i]!;
      if (job.options.owner !== owner) continue;
      this.#queue.splice(i, 1);
      job.reject(error);
    }
  }

  /** Ends all workers, and leaves what they were about to the lanes; one that hangs ends when the kernel lets it go. */
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

  /** Whether a worker is there, or comes, for what waits. */
  #mayCome(): boolean {
    const running = this.#hands.size - this.aside;
    const isEnough = running >= SourceLimits.workersAtOnce || (running > 0 && this.#queue.length < backlog);
    if (!isEnough && this.#hands.size < SourceLimits.workers && this.#isSound()) this.#hire();
    for (const { isReady, isAside } of this.#hands) if (isReady && !isAside) return true;
    return false;
  }

  /** Workers that keep dying are not made anew for a while. */
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
    // Until now its start kept the process alive.
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

  // -- What does not come back -------------------------------------------------------------------------------------------

  #watch(): void {
    this.#timer ??= setInterval(() => this.#look(), SourceLimits.workerInterval).unref();
  }

  #look(): void {
    const now = performance.now();
    // A machine that has no time for this thread may have none for a worker either.
    const isOnTime = now - this.#lookedAt < 2 * SourceLimits.workerInterval;
    this.#lookedAt = now;
    if (isOnTime) for (const hand of this.#hands) if (hand.job) this.#lookAt(hand, hand.job, now);
    // What waits for long is asked for in another way.
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
    if (names || phase === Phase.entries || (phase === Phase.listing && object !== undefined)) {
      // One entry hangs, or the listing of what was looked up: what was found until then is good.
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

/** Requests that must wait before another worker is made. */
const backlog = 8;
/** So many crashes within this time, in ms, and no worker is made. */
const crashesMost = 3;
const crashWindow = 60_000;

/** The one pool of this process. */
export const sourceWorkers = new WorkerPool();
