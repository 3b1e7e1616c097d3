/**
 * Is the source there? Judged from /proc/self/mountinfo, which cannot hang, and from a bounded lookup and statfs, which may.
 *
 * Only a live source may say "no such file". Whoever got such an answer asks `confirm` before believing it: the
 * mount must still be the one under which the question was asked.
 */
import { lstat, statfs } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { TreeError, fromErrno } from './errors.ts';
import type { Callback, Lane } from './lanes.ts';
import { SourceLimits } from './limits.ts';
import { coveringMount, isFuse, type Mount } from './mountinfo.ts';

export type SourceState = 'live' | 'down' | 'stuck';

export interface WatchOptions {
  /** Absolute path as a byte string. */
  readonly path: string;
  /** When set, only a FUSE mount at the path counts as the source. */
  readonly expectFuse: boolean;
  readonly lane: Lane;
  readonly onChange: (state: SourceState, epoch: number, reason: string) => void;
  /** Replaced in tests. */
  readonly readMounts?: () => Promise<string>;
}

/** FUSE_SUPER_MAGIC, statfs(2). */
const fuseMagic = 0x65735546;

export class SourceWatch {
  readonly #options: WatchOptions;
  readonly #path: Buffer;
  #state: SourceState = 'down';
  #reason = 'not looked at yet';
  #epoch = 0;
  #mount: Mount | undefined;
  #reading: Promise<Mount | undefined> | undefined;
  #next: Promise<Mount | undefined> | undefined;
  #probing: Promise<void> | undefined;
  #probedAt = 0;
  #probes = 0;
  /** The mount whose probe has missed its deadline and has not come back. */
  #hungProbe: Mount | undefined;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#path = Buffer.from(options.path, 'latin1');
  }

  get state(): SourceState {
    return this.#state;
  }

  /** Grows by one at each mount of the source; descriptors of an older epoch are worthless. */
  get epoch(): number {
    return this.#epoch;
  }

  get reason(): string {
    return this.#reason;
  }

  /** st_dev of every object of the source, where that can be told (a FUSE mount has one device). */
  get device(): number | undefined {
    return this.#options.expectFuse ? this.#mount?.device : undefined;
  }

  /** Looks once, then keeps looking. */
  async start(): Promise<void> {
    await this.look();
    this.#schedule();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #schedule(): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      void this.look().finally(() => this.#schedule());
    }, SourceLimits.watchInterval).unref();
  }

  /** The epoch to ask under; throws `down` unless the source is live. */
  require(): number {
    if (this.#state !== 'live') throw new TreeError('down', `the source is ${this.#state}: ${this.#reason}`);
    return this.#epoch;
  }

  /** Resolves when what was learnt under `epoch` came from the source that is still there; throws `down` otherwise. */
  async confirm(epoch: number): Promise<void> {
    if (this.#options.expectFuse) this.#judgeMount(await this.#freshMount());
    else await this.#probe();
    if (this.#epoch !== epoch || this.#state !== 'live') {
      throw new TreeError('down', `the source went away meanwhile: ${this.#reason}`);
    }
  }

  /**
   * A call failed in a way that speaks of the mount, not of the file: asks the source itself. True when it answers after
   * all, so that the call was meant for a mount that is gone, or the daemon gave one file that errno.
   */
  async answersAfterAll(): Promise<boolean> {
    await this.look(true);
    return this.#state === 'live';
  }

  /** A call missed its deadline: whether the source, and the mount that was asked, answers others. */
  async answers(epoch: number): Promise<boolean> {
    return (await this.answersAfterAll()) && this.#epoch === epoch;
  }

  /**
   * The outcome of a call, tried again once when it failed as if the source were down and the source answers after all.
   * What then fails in that way once more is a fault of that object: `io`.
   */
  settled<T>(first: Promise<T>, again: () => Promise<T>): Promise<T> {
    return first.catch(async (error: unknown) => {
      if (!(error instanceof TreeError) || error.code !== 'down') throw error;
      if (!(await this.answersAfterAll())) throw error;
      const epoch = this.#epoch;
      return await again().catch(async (second: unknown) => {
        const failure = fromErrno(second);
        if (failure.code !== 'down') throw failure;
        const live = await this.answersAfterAll();
        throw live && epoch === this.#epoch
          ? new TreeError('io', failure.message, { cause: second })
          : failure;
      });
    });
  }

  /** One look now: the mount table, then the probe. */
  async look(probe = false): Promise<void> {
    if (this.#options.expectFuse) {
      try {
        this.#judgeMount(await this.#freshMount());
      } catch (error) {
        this.#set('down', fromErrno(error).message);
        return;
      }
    }
    const mounted = !this.#options.expectFuse || this.#mount !== undefined;
    const due =
      probe || this.#state !== 'live' || performance.now() - this.#probedAt >= SourceLimits.probeInterval;
    if (mounted && due) await this.#probe();
  }

  /** The mount table as it was at some moment after this call: a read that had already begun does not count. */
  #freshMount(): Promise<Mount | undefined> {
    if (!this.#reading) {
      this.#reading = this.#readMount().finally(() => (this.#reading = undefined));
      return this.#reading;
    }
    this.#next ??= this.#reading
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined;
        return this.#freshMount();
      });
    return this.#next;
  }

  /** Not in a lane: procfs does not hang, and a queue before it would only delay the truth. */
  async #readMount(): Promise<Mount | undefined> {
    let table: string;
    try {
      table = await (this.#options.readMounts ?? (() => readFile('/proc/self/mountinfo', 'latin1')))();
    } catch (error) {
      throw new TreeError('down', 'the mount table cannot be read', { cause: error });
    }
    const mount = coveringMount(table, this.#options.path);
    return mount && isFuse(mount.type) ? mount : undefined;
  }

  #judgeMount(mount: Mount | undefined): void {
    if (!mount) {
      this.#mount = undefined;
      this.#set('down', 'no FUSE filesystem is mounted there');
    } else if (mount.id !== this.#mount?.id || mount.device !== this.#mount.device) {
      this.#mount = mount;
      // Mounted is not yet answering: the probe decides.
      this.#set('down', 'a new mount has not answered yet');
      void this.#probe();
    }
  }

  #probe(): Promise<void> {
    this.#probing ??= this.#ask().finally(() => (this.#probing = undefined));
    return this.#probing;
  }

  async #ask(): Promise<void> {
    const asked = this.#mount;
    // One probe that hangs is enough: another would only take a second thread. Its end is looked at.
    if (this.#hungProbe !== undefined && this.#hungProbe === asked) return;
    this.#probedAt = performance.now();
    try {
      const result = await this.#options.lane.run<{ type: number }>(
        (done) =>
          this.#probeOnce((error, value) => {
            if (this.#hungProbe === asked) this.#hungProbe = undefined;
            done(error, value);
          }),
        () => void this.look(true),
      );
      // A mount that changed meanwhile was not the one that answered; its own look follows.
      if (asked !== this.#mount) return;
      // While the mountpoint is bare, statfs speaks of the filesystem underneath.
      if (this.#options.expectFuse && result.type !== fuseMagic) return;
      this.#set('live', 'answering');
    } catch (error) {
      const failure = fromErrno(error);
      if (asked !== this.#mount) return;
      if (failure.code === 'timeout') {
        this.#hungProbe = asked;
        this.#set('stuck', 'the source does not answer');
      } else this.#set('down', failure.message);
    }
  }

  /**
   * Looks up a name that cannot be cached, as it was never asked for, and only then the type: some daemons answer
   * statfs while nothing else moves.
   */
  #probeOnce(done: Callback<{ type: number }>): void {
    this.#probes += 1;
    const path = Buffer.from(`${this.#options.path}/.holdfast-probe-${this.#probes}`, 'latin1');
    lstat(path, (error) => {
      if (error && error.code !== 'ENOENT') done(error, { type: 0 });
      else statfs(this.#path, done);
    });
  }

  #set(state: SourceState, reason: string): void {
    this.#reason = reason;
    if (state === this.#state) return;
    // From down to anything else a mount has (re)appeared; stuck is the same mount being slow.
    if (this.#state === 'down') this.#epoch += 1;
    this.#state = state;
    this.#options.onChange(state, this.#epoch, reason);
  }
}
