/** One FUSE tree, or plain folder, reached by path. The only door to `node:fs` for file data and metadata. */
import { lstat, readdir, readlink, realpath, statfs, type Dirent, type Stats } from 'node:fs';
import { TreeError, fromErrno } from './errors.ts';
import type { SourceFile } from './file.ts';
import { FilePool } from './files.ts';
import { KeyedGate } from './gate.ts';
import { createLanes, type Lanes } from './lanes.ts';
import { SourceLimits } from './limits.ts';
import { Quarantine, type Aspect, type QuarantineCase, type QuarantineEvent } from './quarantine.ts';
import { SourceWatch, type SourceState } from './watch.ts';

export type { QuarantineCase, QuarantineEvent } from './quarantine.ts';
export type { SourceState } from './watch.ts';

export type Kind = 'file' | 'directory' | 'symlink' | 'fifo' | 'socket' | 'block' | 'character' | 'unknown';

/** What the source says of an object; nothing of it is to be believed before the tree has normalised it. */
export interface RawAttributes {
  readonly kind: Kind;
  readonly mode: number;
  readonly links: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Bytes on the medium. */
  readonly used: number;
  readonly rdev: number;
  /** Milliseconds since 1970 with fractions. */
  readonly mtimeMs: number;
  readonly ctimeMs: number;
  readonly atimeMs: number;
}

/** A directory as read: names are byte strings, in no particular order. */
export interface RawListing {
  readonly names: readonly string[];
  readonly kinds: readonly Kind[];
}

export interface SpaceUsage {
  readonly totalBytes: number;
  readonly freeBytes: number;
  readonly availableBytes: number;
  readonly totalFiles: number;
  readonly freeFiles: number;
}

export interface SourceOptions {
  /** Absolute path, UTF-8 text. */
  readonly path: string;
  readonly expectFuse: boolean;
  /** How many exports share the thread pool. */
  readonly exports?: number;
  readonly lanes?: Lanes;
}

export type StateListener = (state: SourceState, epoch: number, reason: string) => void;

function kindOf(entry: Stats | Dirent): Kind {
  if (entry.isDirectory()) return 'directory';
  if (entry.isFile()) return 'file';
  if (entry.isSymbolicLink()) return 'symlink';
  if (entry.isFIFO()) return 'fifo';
  if (entry.isSocket()) return 'socket';
  if (entry.isBlockDevice()) return 'block';
  if (entry.isCharacterDevice()) return 'character';
  return 'unknown';
}

export class Source {
  readonly lanes: Lanes;
  readonly expectFuse: boolean;
  readonly #options: SourceOptions;
  #root = '';
  #watch: SourceWatch | undefined;
  #files: FilePool | undefined;
  readonly #listeners = new Set<StateListener>();
  readonly #troubleListeners = new Set<(event: QuarantineEvent) => void>();
  readonly #quarantine = new Quarantine((event) => {
    for (const listener of this.#troubleListeners) listener(event);
  });
  readonly #gate = new KeyedGate(SourceLimits.metadataPerDirectory);

  constructor(options: SourceOptions) {
    this.#options = options;
    this.expectFuse = options.expectFuse;
    this.lanes = options.lanes ?? createLanes({ exports: options.exports ?? 1 });
  }

  get state(): SourceState {
    return this.#watch?.state ?? 'down';
  }

  get epoch(): number {
    return this.#watch?.epoch ?? 0;
  }

  get reason(): string {
    return this.#watch?.reason ?? 'not started';
  }

  /** Tells of every change of state until the returned function is called. */
  onState(listener: StateListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Tells of every object that goes into quarantine, or comes out. */
  onTrouble(listener: (event: QuarantineEvent) => void): () => void {
    this.#troubleListeners.add(listener);
    return () => this.#troubleListeners.delete(listener);
  }

  /** Objects in quarantine now. */
  get quarantined(): number {
    return this.#quarantine.size;
  }

  /** Those that went into quarantine last, at most `most`. */
  quarantine(most: number): QuarantineCase[] {
    return this.#quarantine.latest(most);
  }

  /** Finds the canonical place of the path, looks at it once, and goes on watching it. Never rejects. */
  async start(): Promise<void> {
    const path = this.#options.path;
    // Where a symlink leads is settled once: what is opened later is compared with it.
    const canonical = await this.lanes.probe
      .run<string>((done) => realpath(path, 'latin1', done))
      .catch(() => Buffer.from(path, 'utf8').toString('latin1'));
    this.#root = canonical === '/' ? '' : canonical;
    let known = 0;
    const watch = new SourceWatch({
      path: canonical,
      expectFuse: this.expectFuse,
      lane: this.lanes.probe,
      onChange: (state, epoch, reason) => {
        if (epoch !== known) this.#quarantine.clear();
        known = epoch;
        this.#files?.newEpoch(epoch);
        for (const listener of this.#listeners) listener(state, epoch, reason);
      },
    });
    this.#watch = watch;
    const quarantine = this.#quarantine;
    this.#files = new FilePool({
      root: this.#root,
      watch,
      lanes: this.lanes,
      quarantine,
      fuse: this.expectFuse,
    });
    await watch.start();
  }

  close(): void {
    this.#watch?.close();
    this.#files?.close();
  }

  async lstat(path: string): Promise<RawAttributes> {
    const target = this.#place(path);
    const stats = await this.#ask(
      'attributes',
      path,
      (done: Done<Stats>) => lstat(target, done),
      (found) => {
        const device = this.#watch?.device;
        return device === undefined || found.dev === device;
      },
    );
    return {
      kind: kindOf(stats),
      mode: stats.mode & 0o7777,
      links: stats.nlink,
      uid: stats.uid,
      gid: stats.gid,
      size: stats.size,
      used: stats.blocks * 512,
      rdev: stats.rdev,
      mtimeMs: stats.mtimeMs,
      ctimeMs: stats.ctimeMs,
      atimeMs: stats.atimeMs,
    };
  }

  /** The names are the source's own only if it was there before and after; so that is made sure of. */
  async readdir(path: string): Promise<RawListing> {
    const target = this.#place(path);
    const epoch = this.#live().require();
    const entries = await this.#ask('listing', path, (done: Done<Dirent[]>) =>
      readdir(target, { encoding: 'latin1', withFileTypes: true }, done),
    );
    await this.#live().confirm(epoch);
    if (entries.length > SourceLimits.directoryEntries) {
      throw new TreeError('fbig', `more than ${SourceLimits.directoryEntries} entries in one directory`);
    }
    return { names: entries.map((entry) => entry.name), kinds: entries.map(kindOf) };
  }

  async readlink(path: string): Promise<string> {
    const target = this.#place(path);
    return await this.#ask('attributes', path, (done: Done<string>) => readlink(target, 'latin1', done));
  }

  async space(): Promise<SpaceUsage> {
    const path = '';
    const target = this.#place(path);
    const usage = await this.#ask(
      'attributes',
      path,
      (
        done: Done<{
          bsize: number;
          blocks: number;
          bfree: number;
          bavail: number;
          files: number;
          ffree: number;
        }>,
      ) => statfs(target, done),
    );
    return {
      totalBytes: usage.blocks * usage.bsize,
      freeBytes: usage.bfree * usage.bsize,
      availableBytes: usage.bavail * usage.bsize,
      totalFiles: usage.files,
      freeFiles: usage.ffree,
    };
  }

  /** The content of a path; nothing is opened before the first read. */
  file(path: string): Pick<SourceFile, 'read'> {
    if (!this.#files) throw new TreeError('down', 'the source was not started');
    return this.#files.file(path);
  }

  /** Lets go of the descriptor of a file that is gone or has changed its content. */
  forget(path: string): void {
    this.#files?.forget(path);
  }

  /** Resolves when the source is there and has been asked since this call; throws `down` otherwise. */
  async confirm(): Promise<void> {
    const watch = this.#live();
    await watch.confirm(watch.require());
  }

  #live(): SourceWatch {
    if (!this.#watch) throw new TreeError('down', 'the source was not started');
    return this.#watch;
  }

  #place(path: string): Buffer {
    return Buffer.from(this.#root + path || '/', 'latin1');
  }

  /** One call by path: an answer from something other than the source, or about its absence, is `down`. */
  #ask<T>(
    aspect: Aspect,
    path: string,
    begin: (done: Done<T>) => void,
    genuine: (value: T) => boolean = () => true,
  ): Promise<T> {
    const once = () => this.#askOnce(aspect, path, begin, genuine);
    return this.#live()
      .settled(once(), once)
      .catch((error: unknown) => {
        // The root cannot have trouble of its own: the daemon is going or has lost its backend.
        if (path === '' && error instanceof TreeError && (error.code === 'io' || error.code === 'timeout')) {
          throw new TreeError('down', error.message, { cause: error });
        }
        throw error;
      });
  }

  async #askOnce<T>(
    aspect: Aspect,
    path: string,
    begin: (done: Done<T>) => void,
    genuine: (value: T) => boolean,
  ): Promise<T> {
    const watch = this.#live();
    const epoch = watch.require();
    this.#quarantine.admit(aspect, path);
    const directory = aspect === 'listing' ? path : path.slice(0, path.lastIndexOf('/') + 1);
    let value: T;
    try {
      value = await this.#gate.run(directory, () => this.lanes.metadata.run(begin));
      this.#quarantine.answered(aspect, path);
    } catch (error) {
      throw await this.#failed(aspect, path, epoch, fromErrno(error));
    }
    if (genuine(value)) return value;
    await watch.confirm(epoch);
    throw new TreeError('down', 'the path led to another filesystem');
  }

  /** What the failure means: of this object, or of the whole source. */
  async #failed(aspect: Aspect, path: string, epoch: number, failure: TreeError): Promise<TreeError> {
    const watch = this.#live();
    if (failure.code === 'timeout') {
      if (!(await watch.answers(epoch))) {
        this.#quarantine.postponed(aspect, path);
        return new TreeError('down', failure.message, { cause: failure });
      }
      this.#quarantine.missed(aspect, path);
      return failure;
    }
    if (failure.code === 'noent' || failure.code === 'notdir') await watch.confirm(epoch);
    if (failure.code !== 'down') this.#quarantine.answered(aspect, path);
    return failure;
  }
}

/** What the tree needs of a source. */
export type TreeSource = Pick<
  Source,
  'state' | 'epoch' | 'onState' | 'lstat' | 'readdir' | 'readlink' | 'space' | 'file' | 'forget' | 'confirm'
>;

type Done<T> = (error: Error | null, value: T) => void;
