/**
 * The source of an export: a FUSE mount or plain folder, and all mounts below it. Each mount has its own state (mounted.ts);
 * mount-set.ts manages them; this class joins them to one tree. All access to data and metadata goes through it.
 */
import { canonicalPath } from './canonical-path.ts';
import { ContentCounts } from './content-counts.ts';
import { TreeError, isAbsence } from './errors.ts';
import type { SourceFile } from './file.ts';
import { InquiryCounts } from './inquiry.ts';
import { createLanes, reshareLanes, type Lanes } from './lanes.ts';
import { SourceLimits } from './limits.ts';
import { mountReader, type MountReader } from './mount-reader.ts';
import { MountSet, type ForgetOutcome, type MountParts } from './mount-set.ts';
import { Mounted, type Known } from './mounted.ts';
import type { QuarantineCase, QuarantineEvent } from './quarantine.ts';
import type {
  Found,
  PartChange,
  RawAttributes,
  RawListing,
  SourcePart,
  SourceState,
  SpaceUsage,
} from './raw.ts';
import { sourceWorkers, type Workers } from './workers/pool.ts';

export type { ForgetOutcome } from './mount-set.ts';
export type { QuarantineCase, QuarantineEvent } from './quarantine.ts';
export type * from './raw.ts';

export interface SourceOptions {
  /** Absolute path, UTF-8 text. */
  readonly path: string;
  readonly expectFuse: boolean;
  /** Places of mounts below the path that are always expected, as '/name', byte strings. */
  readonly expected?: readonly string[];
  /** Places of mounts that an earlier run has seen. They are expected until they are forgotten. */
  readonly seen?: readonly string[];
  /** How many exports share the thread pool. */
  readonly exports?: number;
  readonly lanes?: Lanes;
  /** Milliseconds after which an unanswered read counts as an error of its file. */
  readonly readDeadline?: number | undefined;
  /** Milliseconds for which an error of a recently healthy object is held before it is accepted. */
  readonly verdict?: number | undefined;
  /** Milliseconds without reads after which a file is closed. Default: short for probes, longer for streams. */
  readonly idleClose?: number | undefined;
  /** Replaced in tests. */
  readonly mounts?: MountReader;
  readonly workers?: Workers;
}

/** The state before `start`. */
const notStarted: SourcePart = {
  base: '',
  state: 'down',
  epoch: 0,
  reason: 'not started',
  isFuse: true,
  quarantined: 0,
};

export class Source {
  readonly lanes: Lanes;
  readonly expectFuse: boolean;
  /** Descriptors and bytes of all files. */
  readonly content = new ContentCounts();
  /** Calls held for a verdict, and their results. */
  readonly inquiries = new InquiryCounts();
  readonly #options: SourceOptions;
  readonly #listeners = new Set<(change: PartChange) => void>();
  readonly #mountListeners = new Set<() => void>();
  readonly #newMountListeners = new Set<(base: string) => void>();
  readonly #troubleListeners = new Set<(event: QuarantineEvent) => void>();
  #exports: number;
  #root = '';
  #mounts: MountSet | undefined;
  /** The configured mounts. */
  #expected: readonly string[];

  constructor(options: SourceOptions) {
    this.#options = options;
    this.expectFuse = options.expectFuse;
    this.#expected = options.expected ?? [];
    const { readDeadline, exports = 1 } = options;
    this.#exports = exports;
    this.lanes =
      options.lanes ??
      createLanes({ exports, ...(readDeadline !== undefined && { deadlines: { data: readDeadline } }) });
  }

  /** State of the mount or folder at the root. */
  get state(): SourceState {
    return this.part('').state;
  }

  get epoch(): number {
    return this.part('').epoch;
  }

  get reason(): string {
    return this.part('').reason;
  }

  /** The mount or folder at the root, and every mount below it. */
  get parts(): SourcePart[] {
    return this.#mounts ? [...this.#mounts.all()] : [notStarted];
  }

  /** The mount in which a path lies. */
  part(path: string): SourcePart {
    return this.#mounts?.of(path) ?? notStarted;
  }

  /** Whether a mount is expected at or below the path: then the directory exists even if a listing lacks it. */
  holdsMount(path: string): boolean {
    return path === '' || this.#mounts?.holds(path) === true;
  }

  /** Calls back at every change of state of any mount until the returned function is called. */
  onState(listener: (change: PartChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Calls back when the expected or seen mounts change, until the returned function is called. */
  onMounts(listener: () => void): () => void {
    this.#mountListeners.add(listener);
    return () => this.#mountListeners.delete(listener);
  }

  /**
   * Calls back when a mount is expected from now on, at a place that was served as a part of the mount around it until now.
   * Returns a function that ends this.
   */
  onNewMount(listener: (base: string) => void): () => void {
    this.#newMountListeners.add(listener);
    return () => this.#newMountListeners.delete(listener);
  }

  /** Calls back for every object that enters or leaves quarantine. */
  onTrouble(listener: (event: QuarantineEvent) => void): () => void {
    this.#troubleListeners.add(listener);
    return () => this.#troubleListeners.delete(listener);
  }

  /** Objects in quarantine now. */
  get quarantined(): number {
    let size = 0;
    for (const { quarantined } of this.parts) size += quarantined;
    return size;
  }

  /** The latest objects in quarantine, at most `most`. */
  quarantine(most: number): QuarantineCase[] {
    if (!this.#mounts) return [];
    return [...this.#mounts.all()]
      .flatMap(({ quarantine }) => quarantine.latest(most))
      .sort((a, b) => b.failedAt - a.failedAt)
      .slice(0, most);
  }

  /** Ends the cool-down of an object in quarantine, so that the next call may try. False if the object is not in quarantine. */
  retry(aspect: QuarantineCase['aspect'], path: string): boolean {
    return (this.#mounts?.of(path).quarantine.retry(aspect, path) ?? 0) > 0;
  }

  /** The number of open descriptors. */
  get descriptors(): number {
    return this.content.opens - this.content.closes;
  }

  /** Resolves the path's symlinks, checks its mounts once, and starts to watch them. Never rejects. */
  async start(): Promise<void> {
    // Symlinks in the export's path are resolved only here: the paths of opened files are compared with the result.
    this.#root = await canonicalPath(
      Buffer.from(this.#options.path, 'utf8').toString('latin1'),
      this.lanes.probe,
    );
    const mounts = new MountSet({
      root: this.#root,
      expect: this.expectFuse ? 'fuse' : 'plain',
      listed: this.#expected,
      seen: this.#options.seen ?? [],
      make: (parts) => this.#mounted(parts),
      onChange: (change) => {
        for (const listener of this.#listeners) listener(change);
      },
      onMounts: () => this.#onMounts(),
      onNew: (base) => {
        for (const listener of this.#newMountListeners) listener(base);
      },
    });
    this.#mounts = mounts;
    for (const lane of Object.values(this.lanes))
      lane.baseOf = (key) => mounts.of(key.split('\0', 1)[0]!).base;
    this.#onMounts();
    const workers = (this.#options.workers ?? sourceWorkers).start();
    // The first request shall find a worker. Without one everything goes by the lanes.
    const patience = new Promise<void>((resolve) => setTimeout(resolve, SourceLimits.workerStart).unref());
    await Promise.all([mounts.start(), Promise.race([workers, patience])]);
  }

  close(): void {
    this.#mounts?.close();
  }

  /** Sets the number of exports that share the thread pool. */
  share(exports: number): void {
    this.#exports = exports;
    reshareLanes(this.lanes, exports, this.#mounts?.size ?? 1);
  }

  // -- Which mounts are expected -------------------------------------------------------------------------------------------

  /** The mounts that have answered, for a later run. */
  get seenMounts(): readonly string[] {
    return this.#mounts?.seen ?? this.#options.seen ?? [];
  }

  /**
   * Applies the configured list of expected mounts.
   * @param keepsSeen whether seen mounts stay expected; if not, unlisted mounts stay expected only if they are present now.
   */
  expect(listed: readonly string[], keepsSeen: boolean): void {
    this.#expected = listed;
    this.#mounts?.expect(listed, keepsSeen);
  }

  /** Stops expecting a mount: the folder at its place is served instead. @param base '' or '/name', a byte string. */
  forgetMount(base: string): ForgetOutcome {
    return this.#mounts?.forget(base) ?? 'unknown';
  }

  #onMounts(): void {
    if (!this.#mounts) return;
    if (!this.#options.lanes) reshareLanes(this.lanes, this.#exports, this.#mounts.size);
    for (const lane of Object.values(this.lanes)) lane.regroup();
    for (const listener of this.#mountListeners) listener();
  }

  // -- What the tree asks --------------------------------------------------------------------------------------------------

  /** @param before what is known of an object that existed at the last look: then ENOENT has to be confirmed. */
  lstat(path: string, before?: Known): Promise<RawAttributes> {
    return this.#ask(path, (mounted) => mounted.lstat(path, before));
  }

  /** As lstat. For a directory also its listing, if a worker could read it in the same request. */
  async find(path: string, before?: Known): Promise<Found> {
    const found = await this.#ask(path, (mounted) => mounted.find(path, before));
    const { listing } = found;
    return listing ? { ...found, listing: this.#withMounts(path, listing) } : found;
  }

  /**
   * Attributes of several names in one directory, in order. Undefined for a name that needs its own lstat, as its lookup failed,
   * hangs or is doubtful. The array may be shorter than `names`.
   */
  async looks(
    directory: string,
    names: readonly string[],
    before: readonly (Known | undefined)[],
  ): Promise<readonly (RawAttributes | undefined)[]> {
    const all = await this.#ask(directory, (mounted) => mounted.looks(directory, names, before));
    const expected = this.#mounts?.namesIn(directory);
    return expected ? all.map((raw, i) => (expected.has(names[i]!) ? undefined : raw)) : all;
  }

  /**
   * @param before number of entries in the last listing.
   * @param digest of that listing; resolves with `same` if it is unchanged.
   */
  async readdir(path: string, before = 0, digest?: string): Promise<RawListing | 'same'> {
    const listing = await this.#ask(path, (mounted) => mounted.readdir(path, before, digest));
    return listing === 'same' ? listing : this.#withMounts(path, listing);
  }

  #withMounts(path: string, listing: RawListing): RawListing {
    const expected = this.#mounts?.namesIn(path);
    return expected ? withNames(listing, expected) : listing;
  }

  /**
   * Watches a directory for created, deleted and renamed entries. Resolves with a function that ends the watch; with undefined if
   * the directory cannot be watched, so that changes must be found by listing it.
   * @param onEnd called if the watch ends by itself, not by that function.
   */
  observe(path: string, onChange: () => void, onEnd: () => void): Promise<(() => void) | undefined> {
    return this.#ask(path, (mounted) => mounted.observe(path, onChange, onEnd));
  }

  readlink(path: string): Promise<string> {
    return this.#ask(path, (mounted) => mounted.readlink(path));
  }

  /** Totals of the file system of a path. */
  space(path = ''): Promise<SpaceUsage> {
    return this.#ask(path, (mounted) => mounted.space());
  }

  /** The content of a path. It is opened at the first read. */
  file(path: string): Pick<SourceFile, 'read' | 'tryRead' | 'fetchesAhead' | 'hold'> {
    return this.#of(path).files.file(path);
  }

  /** Drops cached data and the descriptor of a file that is gone or has new content. */
  forget(path: string): void {
    this.#mounts?.of(path).files.forget(path);
  }

  /** Resolves if the mount of a path is live and has answered since this call; throws `down` otherwise. */
  async confirm(path = ''): Promise<void> {
    await this.#ask(path, (mounted) => mounted.confirm());
  }

  #of(path: string): Mounted {
    if (!this.#mounts) throw new TreeError('down', 'the source was not started');
    return this.#mounts.of(path);
  }

  async #ask<T>(path: string, ask: (mounted: Mounted) => Promise<T>): Promise<T> {
    const mounted = this.#of(path);
    try {
      return await ask(mounted);
    } catch (error) {
      throw error instanceof TreeError ? this.#placed(error, path, mounted) : error;
    }
  }

  /** Adds the absent mount to a `down` error. ENOENT for a directory above an expected mount becomes `down`. */
  #placed(error: TreeError, path: string, mounted: Mounted): TreeError {
    let placed = error;
    let base: string | undefined = mounted.base;
    if (isAbsence(error.code) && (base = this.#mounts?.baseBelow(path)) !== undefined)
      placed = new TreeError('down', 'the place of a mount does not exist', { cause: error });
    if (placed.code === 'down') placed.base ??= base;
    return placed;
  }

  #mounted(parts: MountParts): Mounted {
    const {
      verdict = SourceLimits.verdict,
      idleClose,
      mounts = mountReader,
      workers = sourceWorkers,
    } = this.#options;
    return new Mounted({
      root: this.#root,
      mounts,
      lanes: this.lanes,
      workers,
      content: this.content,
      inquiries: this.inquiries,
      verdictMs: verdict,
      idleCloseMs: idleClose,
      onTrouble: (event) => {
        for (const listener of this.#troubleListeners) listener(event);
      },
      ...parts,
    });
  }
}

/**
 * Adds the expected mountpoints to a listing, and removes their attributes: the directory's own mount reports those of the folder
 * below the mountpoint.
 */
function withNames(listing: RawListing, expected: ReadonlySet<string>): RawListing {
  const { names, kinds } = listing;
  const missing = [...expected].filter((name) => !names.includes(name));
  return {
    names: [...names, ...missing],
    kinds: [...kinds, ...missing.map(() => 'directory' as const)],
    attributes: listing.attributes?.map((raw, i) => (expected.has(names[i]!) ? undefined : raw)),
  };
}

/** The part of a source that the tree uses. */
export type TreeSource = Pick<
  Source,
  | 'part'
  | 'holdsMount'
  | 'onState'
  | 'onNewMount'
  | 'lstat'
  | 'find'
  | 'looks'
  | 'readdir'
  | 'observe'
  | 'readlink'
  | 'space'
  | 'file'
  | 'forget'
  | 'confirm'
>;
