/**
 * One mount, or one plain folder, as a source of its own: its state and epoch, its names and attributes, its files. Everything
 * that is asked of it is judged here and in file.ts, and nowhere else: an answer, a verdict, or it waits (`down`).
 */
import {
  lstat,
  readFile,
  readdir,
  readlink,
  statfs,
  type BigIntStats,
  type BigIntStatsFs,
  type Dirent,
} from 'node:fs';
import { ContentCounts } from './content-counts.ts';
import { DaemonHabits } from './daemon-habits.ts';
import { TreeError, fromErrno, isAbsence, type TreeErrorCode } from './errors.ts';
import { FilePool } from './files.ts';
import { Footholds, isOfDirectory } from './footholds.ts';
import { Inquiry, Suspicion, type InquiryCounts, type InquiryOptions } from './inquiry.ts';
import type { Callback, Lanes } from './lanes.ts';
import { SourceLimits } from './limits.ts';
import type { MountReader } from './mount-reader.ts';
import { isFuse, maxRead, type MountTable } from './mount-table.ts';
import { Opinions } from './opinions.ts';
import { probeOnce } from './probe.ts';
import { Quarantine, type Aspect, type Permit, type QuarantineEvent } from './quarantine.ts';
import type { RawAttributes, RawListing, SourcePart, SourceState, SpaceUsage, StateListener } from './raw.ts';
import { hintOf, rawAttributes, spaceUsage } from './stats.ts';
import { SourceWatch, type Expectation } from './watch.ts';

export interface MountedOptions {
  /** Canonical path of the export, a byte string without a slash at its end. */
  readonly root: string;
  /** Where this mount is, below the root: '' or '/name'. All paths are given from the export's root. */
  readonly base: string;
  readonly expect: Expectation;
  readonly mounts: MountReader;
  readonly lanes: Lanes;
  readonly content: ContentCounts;
  readonly inquiries: InquiryCounts;
  readonly verdictMs: number;
  readonly idleCloseMs: number | undefined;
  readonly onState: StateListener;
  readonly onTrouble: (event: QuarantineEvent) => void;
  readonly onTable?: (table: MountTable) => void;
  /** Whether a single file is mounted at this path, so that another filesystem is right there. */
  readonly isFileMount: (path: string) => boolean;
}

/** What is known of an object that was there a moment ago. */
export interface Known {
  /** Bytes; 0 when it was not looked at. */
  readonly size: number;
}

/** What a look at a directory or an object needs to be judged. */
interface Question<T> {
  readonly aspect: Aspect;
  readonly path: string;
  /** Whether it is known to be there, so that an absence has to be confirmed. */
  readonly known: boolean;
  readonly ask: () => Promise<T>;
  /** Whether an answer is so different from the last one that it has to be confirmed. */
  readonly doubtful?: (value: T) => boolean;
}

/** Errors that are answers: they do not depend on how the source is. */
const definite: ReadonlySet<TreeErrorCode> = new Set([
  'busy',
  'cancelled',
  'nametoolong',
  'acces',
  'perm',
  'fbig',
]);

export class Mounted implements SourcePart {
  readonly watch: SourceWatch;
  readonly quarantine: Quarantine;
  readonly files: FilePool;
  readonly #options: MountedOptions;
  readonly #footholds: Footholds;
  readonly #habits: DaemonHabits;
  readonly #opinions = new Opinions((path) => this.#isThere(path));
  readonly #suspicion = new Suspicion();
  #probes = 0;
  #isFuse: boolean;
  /** A directory of this mount did not tell types, and Node cannot list it with them. */
  #withoutTypes = false;
  #knownEpoch = 0;

  constructor(options: MountedOptions) {
    this.#options = options;
    const { root, base, expect, lanes } = options;
    this.#isFuse = expect !== 'plain';
    this.quarantine = new Quarantine(options.onTrouble);
    this.watch = new SourceWatch({
      path: root + base || '/',
      expect,
      mounts: options.mounts,
      probe: (onLate) => this.#probe(onLate),
      onChange: (state, epoch, reason) => {
        if (epoch !== this.#knownEpoch) this.#newEpoch(epoch);
        if (state !== 'live') this.#dismissWaiting();
        options.onState(state, epoch, reason);
      },
      ...(options.onTable && { onTable: options.onTable }),
    });
    const checkMount = (descriptor: number, directory: string) => this.#checkMount(descriptor, directory);
    this.#footholds = new Footholds({
      root,
      lane: lanes.metadata,
      device: () => this.watch.requireDevice(),
      checkMount,
      confirm: () => this.watch.confirmMount(this.watch.epoch),
    });
    this.#habits = new DaemonHabits(() => this.isFuse);
    this.files = new FilePool({
      root,
      base,
      watch: this.watch,
      lanes,
      quarantine: this.quarantine,
      habits: this.#habits,
      counts: options.content,
      isFuse: () => this.isFuse,
      device: (path) => this.#deviceAt(path),
      checkMount,
      maxRead: () => this.watch.mount && maxRead(this.watch.mount),
      lookAt: (path) => this.#lookAt(path),
      inquire: (about) => this.#inquire(about),
      idleCloseMs: options.idleCloseMs,
      verdictMs: options.verdictMs,
      suspicion: this.#suspicion,
    });
  }

  get state(): SourceState {
    return this.watch.state;
  }

  get epoch(): number {
    return this.watch.epoch;
  }

  get reason(): string {
    return this.watch.reason;
  }

  get quarantined(): number {
    return this.quarantine.size;
  }

  /** What it was last, while nothing is mounted. A mount that was never seen is taken for FUSE: nearly all are. */
  get isFuse(): boolean {
    const { mount } = this.watch;
    if (mount) this.#isFuse = isFuse(mount.type);
    else if (this.watch.expectation === 'plain') this.#isFuse = false;
    return this.#isFuse;
  }

  get base(): string {
    return this.#options.base;
  }

  /** Looks at whether it is there, when that is due. */
  look(): Promise<void> {
    return this.watch.look();
  }

  close(): void {
    this.#footholds.clear();
    this.files.close();
  }

  // -- What the tree asks ------------------------------------------------------------------------------------------------

  /** @param before what is known of it; undefined when it was never there. */
  async lstat(path: string, before: Known | undefined): Promise<RawAttributes> {
    const raw = await this.#judged({
      aspect: 'attributes',
      path,
      known: before !== undefined,
      ask: () => this.#lookAt(path, true),
      // After a short answer the kernel tells the size at which it ended, for as long as it caches attributes.
      doubtful: ({ kind, size }) =>
        kind === 'file' && before !== undefined && size < before.size && this.isFuse,
    });
    this.#opinions.note(path, this.watch.epoch);
    return raw;
  }

  /** @param before how many entries it had when it was listed last. */
  async readdir(path: string, before: number): Promise<RawListing> {
    return await this.#judged({
      aspect: 'listing',
      path,
      known: true,
      ask: () => this.#list(path),
      doubtful: ({ names }) => names.length < before / 2,
    });
  }

  async readlink(path: string): Promise<string> {
    return await this.#judged({
      aspect: 'attributes',
      path,
      known: true,
      ask: () => this.#at(path, (place, done) => readlink(place, 'latin1', done)),
    });
  }

  /** A daemon that has no totals, or fails to tell them, is served all the same: then all of them are 0. */
  async space(): Promise<SpaceUsage> {
    const { base } = this.#options;
    this.watch.require();
    try {
      const usage = await this.#at(base, (place, done: Callback<BigIntStatsFs>) =>
        statfs(place, { bigint: true }, done),
      );
      return spaceUsage(usage);
    } catch (error) {
      const failure = fromErrno(error);
      if (failure.code === 'down' || failure.code === 'timeout' || failure.code === 'busy') throw failure;
      return { totalBytes: 0, freeBytes: 0, availableBytes: 0, totalFiles: 0, freeFiles: 0 };
    }
  }

  /** Resolves when the source is there and has been asked since this call; throws `down` otherwise. */
  async confirm(): Promise<void> {
    await this.watch.confirm(this.watch.require());
  }

  // -- One call ----------------------------------------------------------------------------------------------------------

  /** Runs a call on a path that stands for the object itself: its directory is opened and checked, its own name is not followed. */
  #at<T>(path: string, begin: (place: Buffer, done: Callback<T>) => void, onLate?: () => void): Promise<T> {
    const slash = path.lastIndexOf('/');
    const isBase = path === this.#options.base;
    const directory = isBase ? path : path.slice(0, slash);
    const name = isBase ? '.' : path.slice(slash + 1);
    return this.#footholds.use(directory, (place) =>
      this.#options.lanes.metadata.run<T>(
        directory,
        (done) => begin(Buffer.from(`${place}/${name}`, 'latin1'), done),
        onLate && { onLate },
      ),
    );
  }

  async #lookAt(path: string, releases = false): Promise<RawAttributes> {
    const late = releases ? () => this.quarantine.permit('attributes', path).answered() : undefined;
    const stats = await this.#at<BigIntStats>(
      path,
      (place, done) => lstat(place, { bigint: true }, done),
      late,
    );
    const device = this.#deviceAt(path);
    if (device !== undefined && Number(stats.dev) !== device)
      throw new TreeError('down', 'the path led to another filesystem');
    return rawAttributes(stats);
  }

  #deviceAt(path: string): number | undefined {
    return this.#options.isFileMount(path) ? undefined : this.watch.requireDevice();
  }

  /** Where the device does not tell: proc(5) gives the id of the mount in which a descriptor was opened. */
  async #checkMount(descriptor: number, directory: string): Promise<void> {
    const expected = this.watch.requireMountId();
    if (expected === undefined) return;
    const info = await this.#options.lanes.metadata.run<string>(directory, (done) =>
      readFile(`/proc/self/fdinfo/${descriptor}`, 'latin1', done),
    );
    if (Number(/^mnt_id:\s*(\d+)/m.exec(info)?.[1]) === expected) return;
    await this.watch.confirmMount(this.watch.epoch);
    throw new TreeError('down', 'the path led to another mount');
  }

  async #list(path: string): Promise<RawListing> {
    const listing = await this.#footholds.use(path, (place) =>
      this.#read(path, Buffer.from(place, 'latin1')),
    );
    // A daemon that died on the way may have let the listing end early.
    await this.watch.confirmMount(this.watch.require());
    if (listing.names.length > SourceLimits.directoryEntries) {
      throw new TreeError('fbig', `more than ${SourceLimits.directoryEntries} entries in one directory`);
    }
    return listing;
  }

  async #read(path: string, place: Buffer): Promise<RawListing> {
    const { metadata } = this.#options.lanes;
    const onLate = () => this.quarantine.permit('listing', path).answered();
    if (!this.#withoutTypes) {
      try {
        const options = { encoding: 'latin1', withFileTypes: true } as const;
        const entries = await metadata.run<Dirent[]>(path, (done) => readdir(place, options, done), {
          onLate,
        });
        return { names: entries.map(({ name }) => name), kinds: entries.map(hintOf) };
      } catch (error) {
        // An entry without a type (DT_UNKNOWN): Node would look at it by a path that it cannot build from a Buffer.
        if ((error as NodeJS.ErrnoException).code !== 'ERR_INVALID_ARG_TYPE') throw error;
        this.#withoutTypes = true;
      }
    }
    const names = await metadata.run<string[]>(path, (done) => readdir(place, 'latin1', done), { onLate });
    return { names, kinds: names.map(() => 'unknown') };
  }

  /**
   * The watch's question: a name that cannot be cached, as it was never asked for, in the very directory that is mounted. Any
   * answer but one that speaks of the connection is a sign of life. It runs in its own lane, as one call.
   */
  async #probe(onLate: () => void): Promise<void> {
    const { root, base, lanes } = this.#options;
    this.#probes += 1;
    const name = `.holdfast-probe-${this.#probes}`;
    const device = this.watch.requireDevice();
    await lanes.probe.run<undefined>(base, (done) => probeOnce(root + base, name, device, done), { onLate });
  }

  // -- Its judgement -------------------------------------------------------------------------------------------------------

  async #judged<T>(question: Question<T>): Promise<T> {
    const permit = this.quarantine.admit(question.aspect, question.path);
    let inquiry: Inquiry | undefined;
    try {
      for (;;) {
        const begun = performance.now();
        const outcome = await this.#outcome(question);
        if ('value' in outcome && !question.doubtful?.(outcome.value)) {
          permit.answered();
          inquiry?.answered();
          return outcome.value;
        }
        const error = 'error' in outcome ? outcome.error : undefined;
        if (error) await this.#passOn(question, error, permit);
        inquiry ??= this.#inquire({
          convicted: false,
          opinion: () => this.#opinions.about(question.path),
          onSuspicion: () => undefined,
        });
        const news = error?.code ?? 'short';
        if ((await inquiry.weigh(news, performance.now() - begun)) === 'again') continue;
        if ('value' in outcome) return outcome.value;
        throw await this.#verdict(question, outcome.error, permit);
      }
    } finally {
      permit.withdraw();
      inquiry?.withdraw();
    }
  }

  async #outcome<T>({ ask }: Question<T>): Promise<{ value: T } | { error: TreeError }> {
    this.watch.require();
    try {
      return { value: await ask() };
    } catch (error) {
      return { error: fromErrno(error) };
    }
  }

  /** Throws what needs no confirmation; returns for bad news. */
  async #passOn(
    { path, known }: Pick<Question<unknown>, 'path' | 'known'>,
    error: TreeError,
    permit: Permit,
  ): Promise<void> {
    if (error.code === 'timeout') throw await this.#missed(path, error, permit);
    // The mount's own directory cannot have trouble of its own: the daemon is going or has lost its backend.
    if (path === this.#options.base && error.code !== 'acces' && error.code !== 'busy')
      throw new TreeError('down', error.message, { cause: error });
    if (error.code === 'down') this.#footholds.clear();
    const isGone = isAbsence(error.code) && !isOfDirectory(error);
    if (!definite.has(error.code) && !(isGone && !known)) return;
    if (isGone) permit.answered();
    throw error;
  }

  async #missed(path: string, error: TreeError, permit: Permit): Promise<TreeError> {
    const epoch = this.watch.epoch;
    const isWell = await this.watch.confirm(epoch).then(
      () => path !== this.#options.base,
      () => false,
    );
    if (!isWell) return new TreeError('down', error.message, { cause: error });
    permit.failed('timeout');
    return error;
  }

  async #verdict(
    { aspect, path }: Pick<Question<unknown>, 'aspect' | 'path'>,
    error: TreeError,
    permit: Permit,
  ): Promise<TreeError> {
    // A directory that cannot be listed is still one, if its name says so.
    const isGone = isAbsence(error.code) && !(aspect === 'listing' && (await this.#isDirectory(path)));
    if (isGone) {
      this.#opinions.forget(path);
      permit.answered();
      return error;
    }
    permit.failed('io');
    return error.code === 'io' ? error : new TreeError('io', error.message, { cause: error });
  }

  #isDirectory(path: string): Promise<boolean> {
    return this.#lookAt(path).then(
      ({ kind }) => kind === 'directory',
      () => false,
    );
  }

  #inquire(about: Omit<InquiryOptions, 'confirm'>): Inquiry {
    const epoch = this.watch.epoch;
    const { inquiries, verdictMs } = this.#options;
    return new Inquiry(
      { ...about, confirm: () => this.watch.confirm(epoch) },
      inquiries,
      this.#suspicion,
      verdictMs,
    );
  }

  /** A second opinion: whether a name that was seen lately is still there. */
  async #isThere(path: string): Promise<boolean> {
    try {
      await this.#lookAt(path);
      return true;
    } catch {
      this.#opinions.forget(path);
      return false;
    }
  }

  #newEpoch(epoch: number): void {
    this.#knownEpoch = epoch;
    this.quarantine.clear();
    this.#footholds.clear();
    this.#habits.clear();
    this.#withoutTypes = false;
    this.files.newEpoch(epoch);
  }

  /** What has not begun would only wait behind what hangs: it waits for the source instead. */
  #dismissWaiting(): void {
    const { lanes, base } = this.#options;
    const error = new TreeError('down', 'the source went away before this was asked');
    for (const lane of [lanes.metadata, lanes.data]) lane.dismissOf(base, error);
  }
}
