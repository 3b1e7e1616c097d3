/**
 * One mount or plain folder, with its own state and epoch, names, attributes and files. Only this module and file.ts decide how
 * a call ends: with an answer, with a confirmed error (verdict), or with `down`, which makes the request wait.
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
import { FolderWatches } from './folder-watches.ts';
import { Footholds, errorOf, isOfDirectory } from './footholds.ts';
import { Inquiry, Suspicion, type InquiryCounts, type InquiryOptions } from './inquiry.ts';
import type { Callback, Lanes } from './lanes.ts';
import { SourceLimits } from './limits.ts';
import type { MountReader } from './mount-reader.ts';
import { fetchesAhead, isFuse, maxRead, tellsChanges, type MountTable } from './mount-table.ts';
import { Opinions } from './opinions.ts';
import { probeOnce } from './probe.ts';
import { Quarantine, type Aspect, type Permit, type QuarantineEvent } from './quarantine.ts';
import type {
  Found,
  RawAttributes,
  RawListing,
  SourcePart,
  SourceState,
  SpaceUsage,
  StateListener,
} from './raw.ts';
import { rawAttributes, spaceUsage } from './stats.ts';
import { Surveys } from './surveys.ts';
import { SourceWatch, type Expectation } from './watch.ts';
import type { Workers } from './workers/pool.ts';
import { hintOf, isUntyped, kinds, isMountOf } from './workers/survey.mjs';

export interface MountedOptions {
  /** Canonical path of the export, a byte string without a slash at its end. */
  readonly root: string;
  /** Place of this mount below the export's root: '' or '/name'. All other paths start at the export's root. */
  readonly base: string;
  readonly expect: Expectation;
  readonly mounts: MountReader;
  readonly lanes: Lanes;
  readonly workers: Workers;
  readonly content: ContentCounts;
  readonly inquiries: InquiryCounts;
  readonly verdictMs: number;
  readonly idleCloseMs: number | undefined;
  readonly onState: StateListener;
  readonly onTrouble: (event: QuarantineEvent) => void;
  readonly onTable?: (table: MountTable) => void;
  /** Whether a single file is mounted at this path: then its device may differ. */
  readonly isFileMount: (path: string) => boolean;
}

/** What is known of an object that existed at the last look. */
export interface Known {
  /** Bytes; 0 if unknown. */
  readonly size: number;
}

/** A call to the source, with what is needed to judge its result. */
interface Question<T> {
  readonly aspect: Aspect;
  readonly path: string;
  /** Whether the object existed at the last look: then ENOENT has to be confirmed. */
  readonly known: boolean;
  readonly ask: () => Promise<T>;
  /** Whether the answer differs so much from the last one that it has to be confirmed. */
  readonly doubtful?: (value: T) => boolean;
}

/** Errors that need no confirmation: they do not depend on the daemon's health. */
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
  readonly #surveys: Surveys;
  readonly #habits: DaemonHabits;
  readonly #opinions = new Opinions((path) => this.#isThere(path));
  readonly #suspicion = new Suspicion();
  readonly #folderWatches = new FolderWatches();
  #probes = 0;
  #isFuse: boolean;
  /** A directory of this mount has entries of unknown type, which Node's readdir with types cannot handle. */
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
    const device = () => this.watch.requireDevice();
    const confirm = () => this.watch.confirmMount(this.watch.epoch);
    this.#footholds = new Footholds({ root, lane: lanes.metadata, device, checkMount, confirm });
    this.#surveys = new Surveys({
      root,
      pool: options.workers,
      deadline: lanes.metadata.deadline,
      device,
      mountId: () => this.watch.requireMountId(),
      confirm,
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
      fetchesAhead: () => this.watch.mount !== undefined && fetchesAhead(this.watch.mount),
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

  /** While nothing is mounted: the type of the last mount. A mount that was never seen counts as FUSE, as nearly all are. */
  get isFuse(): boolean {
    const { mount } = this.watch;
    if (mount) this.#isFuse = isFuse(mount.type);
    else if (this.watch.expectation === 'plain') this.#isFuse = false;
    return this.#isFuse;
  }

  get base(): string {
    return this.#options.base;
  }

  /** Checks the mount's state if a check is due. */
  look(): Promise<void> {
    return this.watch.look();
  }

  close(): void {
    this.#folderWatches.clear();
    this.#footholds.clear();
    this.files.close();
  }

  // -- What the tree asks ------------------------------------------------------------------------------------------------

  /** @param before what is known of the object; undefined if it was never seen. */
  async lstat(path: string, before: Known | undefined): Promise<RawAttributes> {
    const { attributes } = await this.#look(path, before, async () => ({
      attributes: await this.#lookAt(path, true),
      listing: undefined,
    }));
    return attributes;
  }

  /** As lstat. For a directory also its listing, if a worker could read it in the same request. */
  find(path: string, before: Known | undefined): Promise<Found> {
    return this.#look(path, before, () => this.#find(path));
  }

  async #look(path: string, before: Known | undefined, ask: () => Promise<Found>): Promise<Found> {
    const found = await this.#judged({
      aspect: 'attributes',
      path,
      known: before !== undefined,
      ask,
      doubtful: ({ attributes }) => this.#isDoubtful(attributes, before),
    });
    this.#opinions.note(path);
    return found;
  }

  /** After a short read the kernel may report the size at which it ended, until its attribute cache expires. */
  #isDoubtful({ kind, size }: RawAttributes, before: Known | undefined): boolean {
    return kind === 'file' && before !== undefined && size < before.size && this.isFuse;
  }

  /**
   * Attributes of several names in one directory, in order. Undefined for a name that needs its own lstat, as its lookup failed,
   * hangs or is doubtful. The array may be shorter than `names`.
   * @param before what is known of each.
   */
  async looks(
    directory: string,
    names: readonly string[],
    before: readonly (Known | undefined)[],
  ): Promise<readonly (RawAttributes | undefined)[]> {
    const epoch = this.watch.require();
    if (this.quarantine.concerns(directory)) return [];
    const all = await this.#surveys.lookAtAll(directory, names).catch(() => undefined);
    if (!all || this.watch.state !== 'live' || this.watch.epoch !== epoch) return [];
    return all.map((raw, i) => (raw && this.#isDoubtful(raw, before[i]) ? undefined : raw));
  }

  /**
   * @param before number of entries in the last listing.
   * @param digest of that listing; resolves with `same` if it is unchanged.
   */
  async readdir(path: string, before: number, digest?: string): Promise<RawListing | 'same'> {
    const listing = await this.#judged({
      aspect: 'listing',
      path,
      known: true,
      ask: () => this.#list(path, before, digest),
      doubtful: (found) => found !== 'same' && found.names.length < before / 2,
    });
    // Without objects that can be asked, the news that one of them is gone would be held for long.
    if (listing === 'same') this.#opinions.noteUnchanged(path);
    else this.#opinions.noteListing(path, listing.names);
    return listing;
  }

  async readlink(path: string): Promise<string> {
    return await this.#judged({
      aspect: 'attributes',
      path,
      known: true,
      ask: () => this.#at(path, (place, done) => readlink(place, 'latin1', done)),
    });
  }

  /** Watches a directory by inotify: see FolderWatches.begin. Undefined if its filesystem does not report all changes. */
  async observe(path: string, onChange: () => void, onEnd: () => void): Promise<(() => void) | undefined> {
    this.watch.require();
    if (!tellsChanges(this.watch.filesystem ?? '')) return undefined;
    const begin = (place: string) => Promise.resolve(this.#folderWatches.begin(place, onChange, onEnd));
    return await this.#footholds.use(path, begin);
  }

  /** The totals; all 0 if the daemon has none or fails to report them. */
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

  /** Resolves if the source is live and has answered since this call; throws `down` otherwise. */
  async confirm(): Promise<void> {
    await this.watch.confirm(this.watch.require());
  }

  // -- One call ----------------------------------------------------------------------------------------------------------

  /** The directory of an object, and its name in it; the mount's own directory is in itself. */
  #split(path: string): [directory: string, name: string] {
    if (path === this.#options.base) return [path, '.'];
    const slash = path.lastIndexOf('/');
    return [path.slice(0, slash), path.slice(slash + 1)];
  }

  /** Runs a call on an object relative to its opened and checked directory. `begin` must not follow a symlink at the end. */
  #at<T>(path: string, begin: (place: Buffer, done: Callback<T>) => void, onLate?: () => void): Promise<T> {
    const [directory, name] = this.#split(path);
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
    const isPlain = !this.#options.isFileMount(path);
    const found = isPlain && (await this.#surveys.lookAt(...this.#split(path), late));
    if (found) return found;
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

  /** Checks the mount id in fdinfo, proc(5), where the device is not enough to identify the mount. */
  async #checkMount(descriptor: number, directory: string): Promise<void> {
    const expected = this.watch.requireMountId();
    if (expected === undefined) return;
    const info = await this.#options.lanes.metadata.run<string>(directory, (done) =>
      readFile(`/proc/self/fdinfo/${descriptor}`, 'latin1', done),
    );
    if (isMountOf(info, expected)) return;
    await this.watch.confirmMount(this.watch.epoch);
    throw errorOf('mount');
  }

  async #find(path: string): Promise<Found> {
    const { quarantine } = this;
    const list = !quarantine.knows('listing', path);
    const onLate = () => quarantine.permit('attributes', path).answered();
    const options = { list, looks: !quarantine.concerns(path), onLate };
    const found = this.#options.isFileMount(path)
      ? undefined
      : await this.#surveys.find(...this.#split(path), options);
    return found ?? { attributes: await this.#lookAt(path, true), listing: undefined };
  }

  async #list(path: string, before: number, digest: string | undefined): Promise<RawListing | 'same'> {
    const onLate = () => this.quarantine.permit('listing', path).answered();
    // Only a first listing needs all attributes. A refresh must not take so long that it becomes rare.
    const looks = before === 0 && digest === undefined && !this.quarantine.concerns(path);
    const listing =
      (await this.#surveys.list(path, digest, looks, onLate)) ?? (await this.#listByLane(path, onLate));
    if (listing !== 'same' && listing.names.length > SourceLimits.directoryEntries)
      throw new TreeError('fbig', `more than ${SourceLimits.directoryEntries} entries in one directory`);
    return listing;
  }

  async #listByLane(path: string, onLate: () => void): Promise<RawListing> {
    const listing = await this.#footholds.use(path, (place) =>
      this.#read(path, Buffer.from(place, 'latin1'), onLate),
    );
    // If the daemon died during the listing, it may have ended early.
    await this.watch.confirmMount(this.watch.require());
    return listing;
  }

  async #read(path: string, place: Buffer, onLate: () => void): Promise<RawListing> {
    const { metadata } = this.#options.lanes;
    if (!this.#withoutTypes) {
      try {
        const options = { encoding: 'latin1', withFileTypes: true } as const;
        const entries = await metadata.run<Dirent[]>(path, (done) => readdir(place, options, done), {
          onLate,
        });
        return {
          names: entries.map(({ name }) => name),
          kinds: entries.map((entry) => kinds[hintOf(entry)]),
        };
      } catch (error) {
        if (!isUntyped(error)) throw error;
        this.#withoutTypes = true;
      }
    }
    const names = await metadata.run<string[]>(path, (done) => readdir(place, 'latin1', done), { onLate });
    return { names, kinds: names.map(() => 'unknown') };
  }

  /**
   * The watch's probe: looks up a new name, which no cache can answer, in the mount's root directory. Any result but a
   * connection error shows that the daemon is alive. It runs as one call in its own lane.
   */
  async #probe(onLate: () => void): Promise<void> {
    const { root, base, lanes } = this.#options;
    this.#probes += 1;
    const name = `.holdfast-probe-${this.#probes}`;
    const device = this.watch.requireDevice();
    // An error is an answer too. As the call's value it reaches `onLate`, so that a probe that hung and failed is followed by
    // the next.
    const failure = await lanes.probe.run<Error | undefined>(
      base,
      (done) => probeOnce(root + base, name, device, (error) => done(null, error ?? undefined)),
      { onLate },
    );
    if (failure) throw failure;
  }

  // -- Judging the results of calls ----------------------------------------------------------------------------------------

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
          wasWell: false,
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

  /** Throws errors that need no confirmation. Returns for those that have to be confirmed. */
  async #passOn(
    { path, known }: Pick<Question<unknown>, 'path' | 'known'>,
    error: TreeError,
    permit: Permit,
  ): Promise<void> {
    if (error.code === 'timeout') throw await this.#missed(path, error, permit);
    // An error of the mount's root directory means that the daemon is shutting down or has lost its backend.
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
    // If the listing fails with ENOENT but the lookup still finds a directory, it is an I/O error.
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

  /** For a second opinion: whether a recently seen name still exists. */
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
    this.#folderWatches.clear();
    this.#footholds.clear();
    this.#habits.clear();
    this.#withoutTypes = false;
    this.files.newEpoch(epoch);
  }

  /** Fails queued calls with `down`: they would only wait behind hung ones. Their requests wait for the source instead. */
  #dismissWaiting(): void {
    const { lanes, base } = this.#options;
    const error = new TreeError('down', 'the source went away before this was asked');
    this.#surveys.dismiss(error);
    for (const lane of [lanes.metadata, lanes.data]) lane.dismissOf(base, error);
  }
}
