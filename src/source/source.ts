/**
 * The tree below one path: a FUSE mount, or a plain folder, and whatever is mounted below it. Each mount is a source of its
 * own (mounted.ts), mount-set.ts knows them all; here they are one tree. This is the only door to `node:fs` for data and metadata.
 */
import { realpath } from 'node:fs';
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
import type { PartChange, RawAttributes, RawListing, SourcePart, SourceState, SpaceUsage } from './raw.ts';

export type { ForgetOutcome } from './mount-set.ts';
export type { QuarantineCase, QuarantineEvent } from './quarantine.ts';
export type * from './raw.ts';

export interface SourceOptions {
  /** Absolute path, UTF-8 text. */
  readonly path: string;
  readonly expectFuse: boolean;
  /** Places of mounts below the path that are expected from the start, as '/name', byte strings. */
  readonly expected?: readonly string[];
  /** Those that an earlier run has seen; they are expected as well, until they are forgotten. */
  readonly seen?: readonly string[];
  /** How many exports share the thread pool. */
  readonly exports?: number;
  readonly lanes?: Lanes;
  /** Milliseconds after which a read that has not come back is an error of its file. */
  readonly readDeadline?: number | undefined;
  /** Milliseconds for which bad news of what was well a moment ago is held before it is believed. */
  readonly verdict?: number | undefined;
  /** Milliseconds without reads after which a file is closed. Default: short for probes, longer for streams. */
  readonly idleClose?: number | undefined;
  /** Replaced in tests. */
  readonly mounts?: MountReader;
}

/** Before it is known where the path leads. */
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
  /** What was held for a verdict, and how it ended. */
  readonly inquiries = new InquiryCounts();
  readonly #options: SourceOptions;
  readonly #listeners = new Set<(change: PartChange) => void>();
  readonly #mountListeners = new Set<() => void>();
  readonly #troubleListeners = new Set<(event: QuarantineEvent) => void>();
  #exports: number;
  #root = '';
  #mounts: MountSet | undefined;
  /** As configured last. */
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

  /** Of what lies at the root. */
  get state(): SourceState {
    return this.part('').state;
  }

  get epoch(): number {
    return this.part('').epoch;
  }

  get reason(): string {
    return this.part('').reason;
  }

  /** What lies at the root, and every mount below it. */
  get parts(): SourcePart[] {
    return this.#mounts ? [...this.#mounts.all()] : [notStarted];
  }

  /** The mount in which a path lies. */
  part(path: string): SourcePart {
    return this.#mounts?.of(path) ?? notStarted;
  }

  /** Whether a mount is expected at the path or below it: then there is such a directory, whatever a listing says. */
  holdsMount(path: string): boolean {
    return path === '' || this.#mounts?.holds(path) === true;
  }

  /** Calls back at every change of state of any mount until the returned function is called. */
  onState(listener: (change: PartChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Calls back when other mounts are expected, or were seen, until the returned function is called. */
  onMounts(listener: () => void): () => void {
    this.#mountListeners.add(listener);
    return () => this.#mountListeners.delete(listener);
  }

  /** Calls back for every object that goes into quarantine, or comes out. */
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

  /** Those that went into quarantine last, at most `most`. */
  quarantine(most: number): QuarantineCase[] {
    if (!this.#mounts) return [];
    return [...this.#mounts.all()].flatMap(({ quarantine }) => quarantine.latest(most)).slice(0, most);
  }

  /** Lets the next call for an object in quarantine try, without its cool-down. False when it is not there. */
  retry(aspect: QuarantineCase['aspect'], path: string): boolean {
    return (this.#mounts?.of(path).quarantine.retry(aspect, path) ?? 0) > 0;
  }

  /** Descriptors of files that are open now. */
  get descriptors(): number {
    return this.content.opens - this.content.closes;
  }

  /** Finds the canonical place of the path, looks at its mounts once, and goes on watching them. Never rejects. */
  async start(): Promise<void> {
    const path = this.#options.path;
    // Where a symlink leads is settled once: what is opened later is compared with it.
    const canonical = await this.lanes.probe
      .run<string>('', (done) => realpath(path, 'latin1', done))
      .catch(() => Buffer.from(path, 'utf8').toString('latin1'));
    this.#root = canonical === '/' ? '' : canonical;
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
    });
    this.#mounts = mounts;
    for (const lane of Object.values(this.lanes))
      lane.baseOf = (key) => mounts.of(key.split('\0', 1)[0]!).base;
    this.#onMounts();
    await mounts.start();
  }

  close(): void {
    this.#mounts?.close();
  }

  /** How many exports share the thread pool from now on. */
  share(exports: number): void {
    this.#exports = exports;
    reshareLanes(this.lanes, exports, this.#mounts?.size ?? 1);
  }

  // -- Which mounts are expected -------------------------------------------------------------------------------------------

  /** The mounts that have answered, for a later run. */
  get seenMounts(): string[] {
    return this.#mounts?.seen ?? [];
  }

  /**
   * Expects the mounts that the configuration names now.
   * @param keepsSeen whether others stay expected because they were seen; else only those that are there now do.
   */
  expect(listed: readonly string[], keepsSeen: boolean): void {
    this.#expected = listed;
    this.#mounts?.expect(listed, keepsSeen);
  }

  /** A mount has gone for good: its place is what lies there. @param base '' or '/name', a byte string. */
  forgetMount(base: string): ForgetOutcome {
    return this.#mounts?.forget(base) ?? 'unknown';
  }

  #onMounts(): void {
    if (!this.#mounts) return;
    if (!this.#options.lanes) reshareLanes(this.lanes, this.#exports, this.#mounts.size);
    for (const listener of this.#mountListeners) listener();
  }

  // -- What the tree asks --------------------------------------------------------------------------------------------------

  /** @param before what is known of the object when it was there a moment ago: then its absence has to be confirmed. */
  lstat(path: string, before?: Known): Promise<RawAttributes> {
    return this.#ask(path, (mounted) => mounted.lstat(path, before));
  }

  /** @param before how many entries the directory had when it was listed last. */
  async readdir(path: string, before = 0): Promise<RawListing> {
    const listing = await this.#ask(path, (mounted) => mounted.readdir(path, before));
    const expected = this.#mounts?.namesIn(path);
    return expected ? withNames(listing, expected) : listing;
  }

  readlink(path: string): Promise<string> {
    return this.#ask(path, (mounted) => mounted.readlink(path));
  }

  /** Totals of the filesystem in which a path lies. */
  space(path = ''): Promise<SpaceUsage> {
    return this.#ask(path, (mounted) => mounted.space());
  }

  /** The content of a path; nothing is opened before the first read. */
  file(path: string): Pick<SourceFile, 'read' | 'hold'> {
    return this.#of(path).files.file(path);
  }

  /** Lets go of the descriptor of a file that is gone or has changed its content. */
  forget(path: string): void {
    this.#mounts?.of(path).files.forget(path);
  }

  /** Resolves when the source of a path is there and has been asked since this call; throws `down` otherwise. */
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

  /** Says of an outage which mount is away. What a mount is expected in is not absent: the mount is away. */
  #placed(error: TreeError, path: string, mounted: Mounted): TreeError {
    let placed = error;
    let base: string | undefined = mounted.base;
    if (isAbsence(error.code) && (base = this.#mounts?.baseBelow(path)) !== undefined)
      placed = new TreeError('down', 'the place of a mount does not exist', { cause: error });
    if (placed.code === 'down') placed.base ??= base;
    return placed;
  }

  #mounted(parts: MountParts): Mounted {
    const { verdict = SourceLimits.verdict, idleClose, mounts = mountReader } = this.#options;
    return new Mounted({
      root: this.#root,
      mounts,
      lanes: this.lanes,
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

/** A listing with the entries that must be there. */
function withNames({ names, kinds }: RawListing, expected: ReadonlySet<string>): RawListing {
  const missing = [...expected].filter((name) => !names.includes(name));
  if (missing.length === 0) return { names, kinds };
  return { names: [...names, ...missing], kinds: [...kinds, ...missing.map(() => 'directory' as const)] };
}

/** What the tree needs of a source. */
export type TreeSource = Pick<
  Source,
  | 'part'
  | 'holdsMount'
  | 'onState'
  | 'lstat'
  | 'readdir'
  | 'readlink'
  | 'space'
  | 'file'
  | 'forget'
  | 'confirm'
>;
