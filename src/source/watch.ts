/**
 * Watches one mount: whether it is present, by the mount table, which cannot hang, and whether its daemon answers, by a probe
 * with a deadline.
 *
 * Before a call, `require` says whether the source may be asked, and returns the epoch, which identifies the mount. After it,
 * `confirm` checks that the same mount is still live.
 */
import { renderName } from '../log/index.ts';
import { TreeError, fromErrno, type TreeErrorCode } from './errors.ts';
import { SourceLimits } from './limits.ts';
import type { MountReader } from './mount-reader.ts';
import { allowsOthers, isFuse, type Mount, type MountTable } from './mount-table.ts';
import type { SourceState } from './raw.ts';

/** What is expected at the path. `fuse`: it lies in a FUSE mount. `mount`: it is a mountpoint. `plain`: anything. */
export type Expectation = 'fuse' | 'mount' | 'plain';

export interface WatchOptions {
  /** Absolute path without symlinks, a byte string. */
  readonly path: string;
  readonly expect: Expectation;
  readonly mounts: MountReader;
  /**
   * Looks up a name that does not exist, in the directory at the path. Rejects with `timeout` at its deadline; `onLate` is
   * called if the answer comes after that.
   */
  readonly probe: (onLate: () => void) => Promise<void>;
  readonly onChange: (state: SourceState, epoch: number, reason: string) => void;
  /** Called with every mount table that differs from the last. */
  readonly onTable?: (table: MountTable) => void;
}

export class SourceWatch {
  readonly #options: WatchOptions;
  #state: SourceState = 'down';
  #reason = 'not checked yet';
  #epoch = 0;
  #table: MountTable | undefined;
  #mount: Mount | undefined;
  #expect: Expectation;
  #looking: Promise<void> | undefined;
  #failure: TreeErrorCode | undefined;
  #probing: Promise<void> | undefined;
  #nextProbe: Promise<void> | undefined;
  #probedAt = 0;
  /** Whether a probe of this mount has missed its deadline and still runs. */
  #probeHangs = false;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#expect = options.expect;
  }

  get expectation(): Expectation {
    return this.#expect;
  }

  /** Changes the expectation. */
  expect(expectation: Expectation): void {
    this.#expect = expectation;
    this.#mount = undefined;
    if (this.#table) this.#judgeTable(this.#table);
  }

  get state(): SourceState {
    return this.#state;
  }

  /** Increases by one at each mount of the source. Descriptors of an older epoch are invalid. */
  get epoch(): number {
    return this.#epoch;
  }

  get reason(): string {
    return this.#reason;
  }

  /** The error of the last probe; undefined if it succeeded. */
  get failure(): TreeErrorCode | undefined {
    return this.#failure;
  }

  /** The current mount; undefined if there is none or if `plain` is expected. */
  get mount(): Mount | undefined {
    return this.#mount;
  }

  /** Type of the filesystem at the path, as the mount table last said; undefined when it is not known. */
  get filesystem(): string | undefined {
    return this.#table?.at(this.#options.path)?.type;
  }

  /**
   * st_dev of every object of a FUSE mount. Undefined if any is allowed: if `plain` is expected, and on other file systems, some
   * of which have several (btrfs, overlayfs). Throws `down` while the expected mount is absent.
   */
  requireDevice(): number | undefined {
    const mount = this.#requireMount();
    return mount && isFuse(mount.type) ? mount.device : undefined;
  }

  /**
   * Id of the mount to which every object must belong; undefined if the device is enough. A bind mount can have the same device
   * as the folder that it covers. Throws `down` as requireDevice does.
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

  /** The current epoch; throws `down` unless the source is live. */
  require(): number {
    if (this.#state !== 'live') throw new TreeError('down', `the source is ${this.#state}: ${this.#reason}`);
    return this.#epoch;
  }

  /**
   * Resolves if the source is live, is the mount of `epoch`, and has answered since this call; throws `down` otherwise.
   */
  async confirm(epoch: number): Promise<void> {
    await this.#readTable();
    if (this.#state !== 'stuck') await this.#freshProbe();
    if (this.#epoch !== epoch || this.#state !== 'live') {
      throw new TreeError('down', `the source went away meanwhile: ${this.#reason}`);
    }
  }

  /** Resolves if the mount is still that of `epoch`; throws `down` otherwise. Does not probe the source. */
  async confirmMount(epoch: number): Promise<void> {
    await this.#readTable();
    if (this.#epoch !== epoch || this.#state !== 'live')
      throw new TreeError('down', `the source went away meanwhile: ${this.#reason}`);
  }

  /**
   * A descriptor reports that its mount is gone, but the mount table is the same: a quick remount can reuse every id. If the
   * source answers a probe, it is a new mount: starts a new epoch.
   */
  async remounted(epoch: number): Promise<void> {
    await this.#readTable();
    await this.#freshProbe();
    if (this.#state !== 'live' || this.#epoch !== epoch) return;
    this.#epoch += 1;
    this.#options.onChange(this.#state, this.#epoch, 'remounted');
  }

  /** Checks the mount table, and probes if a probe is due. Parallel calls share one check. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => (this.#looking = undefined));
    return this.#looking;
  }

  async #look(): Promise<void> {
    if (!(await this.#readTable())) return;
    const due = this.#state !== 'live' || performance.now() - this.#probedAt >= SourceLimits.probeInterval;
    if (due) await this.#probe();
  }

  /** Reads and evaluates the mount table. False if there is nothing to probe. */
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
      // A new mount counts as live only after its first answer to a probe.
      this.#set('down', 'a new mount has not answered yet');
      void this.#probe();
    }
  }

  #probe(): Promise<void> {
    this.#probing ??= this.#ask().finally(() => (this.#probing = undefined));
    return this.#probing;
  }

  /** Waits for a probe that begins after this call. */
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
    // While a probe hangs, start no other: it would take a second thread. `onLate` follows when it ends.
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
    // Ignore the answer of an earlier mount; the new one has its own probe.
    if (asked === this.#mount) this.#conclude(failure, asked);
  }

  #conclude(failure: TreeError | undefined, mount: Mount | undefined): void {
    this.#failure = failure?.code;
    if (!failure) this.#set('live', 'answering');
    else if (failure.code === 'timeout') {
      this.#probeHangs = true;
      this.#set('stuck', 'the source does not answer');
    } else if (failure.code !== 'busy') this.#set('down', reasonOf(failure, this.#options.path, mount));
  }

  #set(state: SourceState, reason: string): void {
    this.#reason = reason;
    if (state === this.#state) return;
    // Leaving `down` means that a mount has (re)appeared: a new epoch. `stuck` is the same mount.
    if (this.#state === 'down') this.#epoch += 1;
    this.#state = state;
    this.#options.onChange(state, this.#epoch, reason);
  }
}

/** Why a probe has failed, as text for people. */
function reasonOf(failure: TreeError, path: string, mount: Mount | undefined): string {
  const isOfDaemon = mount !== undefined && isFuse(mount.type);
  if (failure.code === 'acces') {
    return isOfDaemon && !allowsOthers(mount)
      ? 'the mount lacks the option allow_other: only the user who mounted it can read it'
      : `user ${process.getuid?.()} may not enter ${renderName(path)}`;
  }
  const { code } = (failure.cause ?? {}) as NodeJS.ErrnoException;
  if (failure.code !== 'down' || code === undefined) return failure.message;
  return `${isOfDaemon ? 'its daemon has ended: ' : ''}the mount answers only errors (${code})`;
}
