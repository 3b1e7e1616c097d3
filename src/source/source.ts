/**
 * The tree below one path: a FUSE mount, or a plain folder, and whatever is mounted below it. Each mount is a source of its
 * own (mounted.ts); here a path finds the mount that it lies in. This is the only door to `node:fs` for data and metadata.
 */
import { realpath } from 'node:fs';
import { ContentCounts } from './content-counts.ts';
import { TreeError } from './errors.ts';
import type { SourceFile } from './file.ts';
import { InquiryCounts } from './inquiry.ts';
import { createLanes, type Lanes } from './lanes.ts';
import { SourceLimits } from './limits.ts';
import { mountReader, type MountReader } from './mount-reader.ts';
import type { MountTable } from './mount-table.ts';
import { Mounted, type Known, type MountedOptions } from './mounted.ts';
import type { QuarantineCase, QuarantineEvent } from './quarantine.ts';
import type { RawAttributes, RawListing, SourceState, SpaceUsage, StateListener } from './raw.ts';

export type { QuarantineCase, QuarantineEvent } from './quarantine.ts';
export type * from './raw.ts';

export interface SourceOptions {
  /** Absolute path, UTF-8 text. */
  readonly path: string;
  readonly expectFuse: boolean;
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

export class Source {
  readonly lanes: Lanes;
  readonly expectFuse: boolean;
  /** Descriptors and bytes of all files. */
  readonly content = new ContentCounts();
  /** What was held for a verdict, and how it ended. */
  readonly inquiries = new InquiryCounts();
  readonly #options: SourceOptions;
  readonly #listeners = new Set<StateListener>();
  readonly #troubleListeners = new Set<(event: QuarantineEvent) => void>();
  #root = '';
  #main: Mounted | undefined;
  /** Mounts below the path that were seen, by where they are. They stay expected. */
  readonly #inner = new Map<string, Mounted>();

  constructor(options: SourceOptions) {
    this.#options = options;
    this.expectFuse = options.expectFuse;
    const { readDeadline } = options;
    this.lanes =
      options.lanes ??
      createLanes({
        exports: options.exports ?? 1,
        ...(readDeadline !== undefined && { deadlines: { data: readDeadline } }),
      });
  }

  get state(): SourceState {
    return this.#main?.watch.state ?? 'down';
  }

  get epoch(): number {
    return this.#main?.watch.epoch ?? 0;
  }

  get reason(): string {
    return this.#main?.watch.reason ?? 'not started';
  }

  /** Calls back at every change of state until the returned function is called. */
  onState(listener: StateListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Calls back for every object that goes into quarantine, or comes out. */
  onTrouble(listener: (event: QuarantineEvent) => void): () => void {
    this.#troubleListeners.add(listener);
    return () => this.#troubleListeners.delete(listener);
  }

  /** Objects in quarantine now. */
  get quarantined(): number {
    let size = 0;
    for (const { quarantine } of this.#all()) size += quarantine.size;
    return size;
  }

  /** Those that went into quarantine last, at most `most`. */
  quarantine(most: number): QuarantineCase[] {
    return [...this.#all()].flatMap(({ quarantine }) => quarantine.latest(most)).slice(0, most);
  }

  /** Descriptors of files that are open now. */
  get descriptors(): number {
    return this.content.opens - this.content.closes;
  }

  /** Finds the canonical place of the path, looks at it once, and goes on watching it. Never rejects. */
  async start(): Promise<void> {
    const path = this.#options.path;
    // Where a symlink leads is settled once: what is opened later is compared with it.
    const canonical = await this.lanes.probe
      .run<string>('', (done) => realpath(path, 'latin1', done))
      .catch(() => Buffer.from(path, 'utf8').toString('latin1'));
    this.#root = canonical === '/' ? '' : canonical;
    const expect = this.expectFuse ? 'fuse' : 'plain';
    const main = this.#mounted('', expect, {
      onState: (state, epoch, reason) => {
        for (const listener of this.#listeners) listener(state, epoch, reason);
      },
      onTable: (table) => this.#discover(table),
    });
    this.#main = main;
    await main.start();
  }

  close(): void {
    for (const mounted of this.#all()) mounted.close();
  }

  /** @param before what is known of the object when it was there a moment ago: then its absence has to be confirmed. */
  lstat(path: string, before?: Known): Promise<RawAttributes> {
    return this.#of(path).lstat(path, before);
  }

  /** @param before how many entries the directory had when it was listed last. */
  readdir(path: string, before = 0): Promise<RawListing> {
    return this.#of(path).readdir(path, before);
  }

  readlink(path: string): Promise<string> {
    return this.#of(path).readlink(path);
  }

  space(): Promise<SpaceUsage> {
    return this.#of('').space();
  }

  /** The content of a path; nothing is opened before the first read. */
  file(path: string): Pick<SourceFile, 'read' | 'hold'> {
    return this.#of(path).files.file(path);
  }

  /** Lets go of the descriptor of a file that is gone or has changed its content. */
  forget(path: string): void {
    if (this.#main) this.#of(path).files.forget(path);
  }

  /** Resolves when the source of a path is there and has been asked since this call; throws `down` otherwise. */
  async confirm(path = ''): Promise<void> {
    await this.#of(path).confirm();
  }

  // -- Mounts ------------------------------------------------------------------------------------------------------------

  *#all(): Generator<Mounted> {
    if (this.#main) yield this.#main;
    yield* this.#inner.values();
  }

  #of(path: string): Mounted {
    if (!this.#main) throw new TreeError('down', 'the source was not started');
    if (this.#inner.size === 0) return this.#main;
    for (let end = path.length; end > 0; end = path.lastIndexOf('/', end - 1)) {
      const found = this.#inner.get(path.slice(0, end));
      if (found) return found;
    }
    return this.#main;
  }

  /** A mount below the path, once seen, is expected from then on: when it goes, the folder under it is not served. */
  #discover(table: MountTable): void {
    const root = this.#root || '/';
    for (const { mountpoint } of table.below(root)) {
      const base = mountpoint.slice(this.#root.length);
      if (this.#inner.has(base) || this.#inner.size >= SourceLimits.mounts) continue;
      const mounted = this.#mounted(base, 'mount', { onState: () => undefined });
      this.#inner.set(base, mounted);
      void mounted.start();
    }
  }

  #mounted(
    base: string,
    expect: MountedOptions['expect'],
    rest: Pick<MountedOptions, 'onState' | 'onTable'>,
  ): Mounted {
    const { verdict = SourceLimits.verdict, idleClose, mounts = mountReader } = this.#options;
    return new Mounted({
      root: this.#root,
      base,
      expect,
      mounts,
      lanes: this.lanes,
      content: this.content,
      inquiries: this.inquiries,
      verdictMs: verdict,
      idleCloseMs: idleClose,
      onTrouble: (event) => {
        for (const listener of this.#troubleListeners) listener(event);
      },
      ...rest,
    });
  }
}

/** What the tree needs of a source. */
export type TreeSource = Pick<
  Source,
  'state' | 'epoch' | 'onState' | 'lstat' | 'readdir' | 'readlink' | 'space' | 'file' | 'forget' | 'confirm'
>;
