/**
 * Is the mount there? Judged from the mount table, which cannot hang, and from a bounded lookup, which may.
 *
 * Its state and epoch are one answer to one question, `require`: may the source be asked, and as which mount. `confirm` asks
 * whether it has stayed so.
 */
import { TreeError, fromErrno, type TreeErrorCode } from './errors.ts';
import { SourceLimits } from './limits.ts';
import type { MountReader } from './mount-reader.ts';
import { allowsOthers, isFuse, type Mount, type MountTable } from './mount-table.ts';
import type { SourceState } from './raw.ts';

/** What must be at the path: a FUSE mount in which it lies, a mount at just this path, or nothing in particular. */
export type Expectation = 'fuse' | 'mount' | 'plain';

export interface WatchOptions {
  /** Absolute path without symlinks, a byte string. */
  readonly path: string;
  readonly expect: Expectation;
  readonly mounts: MountReader;
  /**
   * Asks for a name that does not exist, in the directory at the path itself. Rejects with `timeout` when there is no answer in
   * time; then `onLate` is called when it comes after all.
   */
  readonly probe: (onLate: () => void) => Promise<void>;
  readonly onChange: (state: SourceState, epoch: number, reason: string) => void;
  /** Called with every mount table that is another than the last. */
  readonly onTable?: (table: MountTable) => void;
}

export class SourceWatch {
  readonly #options: WatchOptions;
  #state: SourceState = 'down';
  #reason = 'not looked at yet';
  #epoch = 0;
  #table: MountTable | undefined;
  #mount: Mount | undefined;
  #expect: Expectation;
  #looking: Promise<void> | undefined;
  #failure: TreeErrorCode | undefined;
  #probing: Promise<void> | undefined;
  #nextProbe: Promise<void> | undefined;
  #probedAt = 0;
  /** Whether a probe of this mount has missed its deadline and has not come back. */
  #probeHangs = false;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#expect = options.expect;
  }

  get expectation(): Expectation {
    return this.#expect;
  }

  /** From now on something else must be there. */
  expect(expectation: Expectation): void {
    this.#expect = expectation;
    this.#mount = undefined;
    if (this.#table) this.#judgeTable(this.#table);
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

  /** What the last probe failed with; undefined when it was answered. */
  get failure(): TreeErrorCode | undefined {
    return this.#failure;
  }

  /** The mount that is there now; undefined when there is none, or when nothing in particular is expected. */
  get mount(): Mount | undefined {
    return this.#mount;
  }

  /**
   * st_dev of every object of a FUSE mount; undefined where any will do: where nothing in particular is expected, and on other
   * filesystems, some of which have several (btrfs, overlayfs). Throws `down` while what is expected is not there.
   */
  requireDevice(): number | undefined {
    const mount = this.#requireMount();
    return mount && isFuse(mount.type) ? mount.device : undefined;
  }

  /**
   * Id of the mount in which every object must lie; undefined where its device tells. A bind mount can have the device of
   * what it covers. Throws `down` as requireDevice does.
   */
  requireMountId(): number | undefined {
    const mount = this.#requireMount();
    return this.#expect === 'mount' ? mount?.id : undefined;
  }

  #requireMount(): Mount | undefined {
    if (this.#expect === 'plain') return undefined;
    if (!this.#mount) throw new TreeError('down', this.#reason);
    return this.#mount;
  }

  /** The epoch to ask under; throws `down` unless the source is live. */
  require(): number {
    if (this.#state !== 'live') throw new TreeError('down', `the source is ${this.#state}: ${this.#reason}`);
    return this.#epoch;
  }

  /**
   * Resolves when the source is live, is the one of `epoch`, and has answered since this call; throws `down` otherwise.
   */
  async confirm(epoch: number): Promise<void> {
    await this.#readTable();
    if (this.#state !== 'stuck') await this.#freshProbe();
    if (this.#epoch !== epoch || this.#state !== 'live') {
      throw new TreeError('down', `the source went away meanwhile: ${this.#reason}`);
    }
  }

  /** Resolves when the mount is still the one of `epoch`; throws `down` otherwise. Does not ask the source itself. */
  async confirmMount(epoch: number): Promise<void> {
    await this.#readTable();
    if (this.#epoch !== epoch || this.#state !== 'live')
      throw new TreeError('down', `the source went away meanwhile: ${this.#reason}`);
  }

  /**
   * What was open does not answer any more, as if its mount were gone, although the table shows the same: a quick remount can
   * reuse every number. If the source answers, it is another one.
   */
  async remounted(epoch: number): Promise<void> {
    await this.#readTable();
    await this.#freshProbe();
    if (this.#state !== 'live' || this.#epoch !== epoch) return;
    this.#epoch += 1;
    this.#options.onChange(this.#state, this.#epoch, 'mounted anew');
  }

  /** One look now: the mount table, then the probe when it is due. Whoever asks meanwhile shares it. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => (this.#looking = undefined));
    return this.#looking;
  }

  async #look(): Promise<void> {
    if (!(await this.#readTable())) return;
    const due = this.#state !== 'live' || performance.now() - this.#probedAt >= SourceLimits.probeInterval;
    if (due) await this.#probe();
  }

  /** Takes in the mount table as it is now; false when there is nothing to ask. */
  async #readTable(): Promise<boolean> {
    let table: MountTable;
    try {
      table = await this.#options.mounts.fresh();
    } catch (error) {
      this.#set('down', fromErrno(error).message);
      return false;
    }
    if (table !== this.#table) {
      this.#table = table;
      this.#options.onTable?.(table);
      this.#judgeTable(table);
    }
    return this.#expect === 'plain' || this.#mount !== undefined;
  }

  #judgeTable(table: MountTable): void {
    if (this.#expect !== 'plain') this.#judge(this.#expected(table));
  }

  #expected(table: MountTable): Mount | undefined {
    const mount = table.at(this.#options.path);
    if (!mount) return undefined;
    return (this.#expect === 'fuse' ? isFuse(mount.type) : mount.mountpoint === this.#options.path)
      ? mount
      : undefined;
  }

  #judge(mount: Mount | undefined): void {
    if (!mount) {
      this.#mount = undefined;
      const what = this.#expect === 'fuse' ? 'no FUSE filesystem is mounted there' : 'the mount has gone';
      this.#set('down', what);
    } else if (mount.id !== this.#mount?.id || mount.device !== this.#mount.device) {
      this.#mount = mount;
      this.#probeHangs = false;
      // Mounted is not yet answering: the probe decides.
      this.#set('down', 'a new mount has not answered yet');
      void this.#probe();
    }
  }

  #probe(): Promise<void> {
    this.#probing ??= this.#ask().finally(() => (this.#probing = undefined));
    return this.#probing;
  }

  /** A probe that begins after this call. */
  #freshProbe(): Promise<void> {
    if (!this.#probing) return this.#probe();
    this.#nextProbe ??= this.#probing.then(() => {
      this.#nextProbe = undefined;
      return this.#probe();
    });
    return this.#nextProbe;
  }

  async #ask(): Promise<void> {
    const asked = this.#mount;
    if (this.#expect !== 'plain' && !asked) return;
    // One probe that hangs is enough: another would only take a second thread. Its end is looked at.
    if (this.#probeHangs) return;
    this.#probedAt = performance.now();
    let failure: TreeError | undefined;
    try {
      await this.#options.probe(() => {
        if (asked !== this.#mount) return;
        this.#probeHangs = false;
        void this.#probe();
      });
    } catch (error) {
      failure = fromErrno(error);
    }
    // A mount that changed meanwhile was not the one that answered; its own look follows.
    if (asked === this.#mount) this.#conclude(failure, asked);
  }

  #conclude(failure: TreeError | undefined, mount: Mount | undefined): void {
    this.#failure = failure?.code;
    if (!failure) this.#set('live', 'answering');
    else if (failure.code === 'timeout') {
      this.#probeHangs = true;
      this.#set('stuck', 'the source does not answer');
    } else if (failure.code === 'acces' && mount && isFuse(mount.type) && !allowsOthers(mount)) {
      this.#set('down', 'the mount was made without allow_other: only the user who made it may read it');
    } else if (failure.code !== 'busy') this.#set('down', failure.message);
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
