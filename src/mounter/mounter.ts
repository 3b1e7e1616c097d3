/**
 * Keeps one export mounted on a node. Each check finds that the mount answers, is slow, fails, or is absent. A failing mount
 * counts as dead, and is replaced, only if a new mount of the same share answers. A slow mount is kept, as `hard` mounts wait.
 */
import { dirname } from 'node:path';
import type { Logger } from '../log/index.ts';
import type { Mount, MountTable } from '../source/mount-table.ts';
import { isGuard } from './node.ts';
import type { Address } from './address.ts';
import { addressOf, isShare, kernelMount, type KernelMount, type Share } from './options.ts';
import type { ProgramResult } from './program.ts';

/** The operations that the mounter uses: see node.ts. */
export interface Node {
  table(): Promise<MountTable>;
  hostHas(mount: Mount): Promise<boolean | undefined>;
  makeFolder(path: string): Promise<void>;
  share(folder: string): Promise<ProgramResult>;
  guard(path: string): Promise<ProgramResult | undefined>;
  mount(mount: KernelMount, path: string): Promise<ProgramResult>;
  bind(from: string, to: string): Promise<ProgramResult>;
  unmount(path: string): Promise<ProgramResult>;
  detach(path: string, abort: boolean): Promise<ProgramResult>;
  probe(path: string, timeoutMs: number): Promise<ProgramResult>;
  setReadAhead(mount: Mount, kib: number): Promise<void>;
}

export interface MounterOptions {
  readonly share: Share;
  /** Absolute, without symlinks. */
  readonly at: string;
  /** A private folder, where a new mount is made and tested before it is shown at `at`. */
  readonly staging: string;
  readonly probeTimeoutMs: number;
  /** The kernel's read-ahead in KiB; undefined: unchanged. */
  readonly readAhead?: number | undefined;
  /** Whether to put a guard below the mount: see MountNode.guard. */
  readonly guard: boolean;
}

/** `absent`: not mounted; `blocked`: something else is mounted there. */
export const mountStates = ['absent', 'blocked', 'answering', 'slow', 'failing'] as const;
export type MountState = (typeof mountStates)[number];

export const mountReasons = ['absent', 'moved', 'dead'] as const;
export type MountReason = (typeof mountReasons)[number];

/** Consecutive failed checks before a new mount is tried. */
const failuresForDead = 3;
/** Consecutive checks that must find another address before it is accepted, as a name may resolve to several in turn. */
const looksForMoved = 2;

/** Logs a problem only once, until it changes or is over. */
class Complaint {
  readonly #log: Logger;
  #last: string | undefined;

  constructor(log: Logger) {
    this.#log = log;
  }

  say(text: string, fields: object = {}): void {
    if (text === this.#last) return;
    this.#last = text;
    this.#log.warn(fields, text);
  }

  over(): void {
    this.#last = undefined;
  }

  /** The problem that is not over yet. */
  get last(): string | undefined {
    return this.#last;
  }
}

export class Mounter {
  readonly mounts: Record<MountReason, number> = { absent: 0, moved: 0, dead: 0 };
  /** Number of failed attempts to mount. */
  failures = 0;
  /** Whether process 1 sees the mount: the host's, with hostPID. Undefined if unknown. */
  propagated: boolean | undefined;
  /** Duration of the last successful probe, in seconds. */
  probeSeconds = 0;
  readonly #options: MounterOptions;
  readonly #node: Node;
  readonly #address: Address;
  readonly #log: Logger;
  readonly #complaint: Complaint;
  #state: MountState = 'absent';
  #since = performance.now();
  #failuresInRow = 0;
  #movedInRow = 0;
  /** Id of the mount whose probe still hangs: it gets no second probe. */
  #hanging: number | undefined;
  #guardFailed = false;

  constructor(options: MounterOptions, node: Node, address: Address, log: Logger) {
    this.#options = options;
    this.#node = node;
    this.#address = address;
    this.#log = log;
    this.#complaint = new Complaint(log);
  }

  get state(): MountState {
    return this.#state;
  }

  /** Seconds since the last change of state. */
  get seconds(): number {
    return (performance.now() - this.#since) / 1000;
  }

  get address(): string | undefined {
    return this.#address.current;
  }

  /** What is wrong at present, for people; undefined if nothing is known to be. */
  get reason(): string | undefined {
    const slow = `no answer in ${this.#options.probeTimeoutMs / 1000} s`;
    return this.#complaint.last ?? this.#address.problem ?? (this.#state === 'slow' ? slow : undefined);
  }

  /** Checks the mount once, and mounts or replaces it if needed. Never rejects. Do not call it again before it has ended. */
  async look(): Promise<void> {
    try {
      await this.#address.look();
      const top = await this.#top();
      if (top === undefined) await this.#attach('absent');
      else if (isShare(this.#options.share, top)) await this.#check(top);
      else this.#blocked(top);
    } catch (error) {
      this.#complaint.say(`this look at the mount failed: ${(error as Error).message}`, { err: error });
    }
  }

  /** Unmounts the share, and leaves the guard. Never rejects. */
  async end(): Promise<void> {
    const { at, share } = this.#options;
    const top = await this.#top().catch(() => undefined);
    if (top === undefined || !isShare(share, top)) return;
    const unmounted = await this.#node.unmount(at);
    if (unmounted.outcome === 'done') this.#log.info({ at }, 'unmounted');
    else {
      // Programs can continue to use their open files while the server answers.
      const { outcome, message } = await this.#node.detach(at, false);
      this.#log.warn({ at, outcome, message }, `unmounted lazily: ${unmounted.message}`);
    }
  }

  /** The topmost mount at `at`; undefined if there is none or only the guard. */
  async #top(): Promise<Mount | undefined> {
    const { at } = this.#options;
    const top = (await this.#node.table()).at(latin1(at));
    return top?.mountpoint === latin1(at) && !isGuard(top) ? top : undefined;
  }

  #enter(state: MountState): void {
    if (state === this.#state) return;
    const { at } = this.#options;
    const fields = { at, before: this.#state, seconds: Math.round(this.seconds) };
    if (state === 'answering') this.#log.info(fields, 'the mount answers');
    else this.#log.warn(fields, `the mount is ${state}`);
    this.#state = state;
    this.#since = performance.now();
  }

  #blocked({ type, origin }: Mount): void {
    this.#enter('blocked');
    this.#complaint.say(
      `something else is mounted at ${this.#options.at}; unmount it or choose another --at`,
      {
        type,
        origin: Buffer.from(origin, 'latin1').toString(),
      },
    );
  }

  async #check(top: Mount): Promise<void> {
    const moved = this.#hasMoved(top);
    const state = await this.#probe(top);
    this.#failuresInRow = state === 'failing' ? this.#failuresInRow + 1 : 0;
    this.#enter(state);
    await this.#lookAtHost(top);
    if (state === 'answering' && this.propagated !== false) this.#complaint.over();
    if (moved) await this.#attach('moved', state !== 'answering');
    else if (this.#failuresInRow >= failuresForDead) await this.#attach('dead', true);
  }

  #hasMoved(top: Mount): boolean {
    const address = addressOf(top.options);
    const elsewhere = address !== undefined && this.#address.leads && !this.#address.all.includes(address);
    this.#movedInRow = elsewhere ? this.#movedInRow + 1 : 0;
    return this.#movedInRow >= looksForMoved;
  }

  async #probe(top: Mount): Promise<'answering' | 'slow' | 'failing'> {
    if (this.#hanging === top.id) return 'slow';
    const { outcome, message, ms, gone } = await this.#node.probe(
      this.#options.at,
      this.#options.probeTimeoutMs,
    );
    if (outcome === 'late') {
      this.#hanging = top.id;
      void gone.then(() => {
        if (this.#hanging === top.id) this.#hanging = undefined;
      });
      return 'slow';
    }
    if (outcome === 'failed') {
      this.#complaint.say(`the mount fails: ${message}`, { at: this.#options.at });
      return 'failing';
    }
    this.probeSeconds = ms / 1000;
    return 'answering';
  }

  async #lookAtHost(top: Mount): Promise<void> {
    this.propagated = await this.#node.hostHas(top);
    if (this.propagated === false)
      this.#complaint.say(
        'the host does not see the mount: the volume needs mountPropagation: Bidirectional and a shared mount on the host',
        { at: this.#options.at },
      );
  }

  /**
   * Mounts the share in the staging folder and waits for its first answer. Then shows it at `at`, in place of the old mount.
   * @param abort whether to fail the calls that wait for the old mount, as its server will not answer any more.
   */
  async #attach(reason: MountReason, abort = false): Promise<void> {
    const { at, share } = this.#options;
    const address = this.#address.current;
    if (reason === 'absent') this.#enter('absent');
    if (address === undefined) return;
    const problem = (await this.#prepare(reason)) ?? (await this.#stage(kernelMount(share, address)));
    const failed = problem ?? (await this.#show(reason, abort));
    if (failed !== undefined) {
      this.failures += 1;
      this.#complaint.say(`cannot mount: ${failed}`, { at, address, reason });
    } else {
      this.mounts[reason] += 1;
      this.#failuresInRow = 0;
      this.#movedInRow = 0;
      this.#complaint.over();
      this.#log.info({ at, address, protocol: share.protocol, reason }, 'mounted');
      const top = await this.#top();
      if (top) await this.#settle(top);
    }
    await this.#clearStaging();
  }

  /** Prepares the folders and, for a first mount, the guard. Returns the problem, if any. */
  async #prepare(reason: MountReason): Promise<string | undefined> {
    const { at, staging, guard } = this.#options;
    await this.#clearStaging();
    await this.#node.makeFolder(staging);
    if (reason !== 'absent') return undefined;
    const table = await this.#node.table();
    const below = table.at(latin1(at));
    if (below?.mountpoint === latin1(at)) return undefined;
    await this.#node.makeFolder(at);
    if (below?.shared === false) {
      const folder = dirname(at);
      const { outcome, message } = await this.#node.share(folder);
      if (outcome !== 'done') return `${folder} cannot be made a shared mount: ${message}`;
      this.#log.info({ folder }, 'made it a shared mount, so that containers see what is mounted below');
    }
    if (guard && !this.#guardFailed) await this.#putGuard();
    return undefined;
  }

  async #putGuard(): Promise<void> {
    const { at } = this.#options;
    const result = await this.#node.guard(at);
    if (result?.outcome === 'done') return;
    this.#guardFailed = true;
    const message = result?.message ?? '/dev/fuse cannot be opened';
    this.#log.warn({ at, message }, 'no guard below the mount: while it is away an empty folder is seen');
  }

  async #stage(mount: KernelMount): Promise<string | undefined> {
    const { staging, probeTimeoutMs } = this.#options;
    const mounted = await this.#node.mount(mount, staging);
    if (mounted.outcome !== 'done') return mounted.message;
    const probed = await this.#node.probe(staging, probeTimeoutMs);
    return probed.outcome === 'done' ? undefined : `mounted, but ${probed.message}`;
  }

  async #show(reason: MountReason, abort: boolean): Promise<string | undefined> {
    const { at, staging } = this.#options;
    if (reason !== 'absent') {
      const { outcome, message } = await this.#node.detach(at, abort);
      if (outcome !== 'done') return `the old mount cannot be taken away: ${message}`;
    }
    const { outcome, message } = await this.#node.bind(staging, at);
    return outcome === 'done' ? undefined : message;
  }

  async #clearStaging(): Promise<void> {
    const { staging } = this.#options;
    const table = await this.#node.table();
    if (table.at(latin1(staging))?.mountpoint === latin1(staging)) await this.#node.detach(staging, false);
  }

  /** Finishes a new mount: sets its read-ahead, and checks whether the host sees it. */
  async #settle(top: Mount): Promise<void> {
    const { readAhead, at, share } = this.#options;
    if (readAhead !== undefined && share.protocol === 'nfs')
      await this.#node.setReadAhead(top, readAhead).catch((error: unknown) => {
        this.#log.warn({ at, err: error }, 'read-ahead cannot be set');
      });
    this.#enter('answering');
    await this.#lookAtHost(top);
  }
}

/** A byte string, as in the mount table: one character for each byte. */
const latin1 = (path: string) => Buffer.from(path).toString('latin1');
