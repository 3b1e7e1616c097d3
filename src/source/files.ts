/**
 * Pooled descriptors: for each open path one, shared by everybody, kept a while after the last use. NFS has no close,
 * and a fresh open would make the kernel drop the pages it holds of the file.
 *
 * Reads are buffered where that is safe: a page that several consumers want is fetched once, and the kernel reads a
 * little ahead. But buffered reads that hang, with what the kernel reads ahead of them, fill FUSE's background queue (12
 * requests), and then no file of the mount can be read through the page cache. Direct reads use no such queue. So the
 * first reads of a file are direct, until one has come back quickly, and again as soon as one does not; and while
 * several buffered reads are slow, everything is read directly.
 */
import { close, constants, fstat, open, readlink, type Stats } from 'node:fs';
import { TreeError, fromErrno } from './errors.ts';
import { SourceFile } from './file.ts';
import type { Callback, Lanes } from './lanes.ts';
import { SourceLimits } from './limits.ts';
import type { Quarantine } from './quarantine.ts';
import type { SourceWatch } from './watch.ts';

export type ReadMode = 'buffered' | 'direct';

export interface Descriptor {
  readonly fd: number;
  readonly epoch: number;
  readonly mode: ReadMode;
  /** Reads in the kernel now; the number may only be closed, and so reused, when none is left. */
  inFlight: number;
  doomed: boolean;
  closed: boolean;
}

/** O_NONBLOCK so that a FIFO cannot hold the thread, O_NOFOLLOW so that a symlink put there cannot lead away. */
const openFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY;

export interface FilePoolOptions {
  /** Canonical path of the source, a byte string without a slash at its end. */
  readonly root: string;
  readonly watch: SourceWatch;
  readonly lanes: Lanes;
  readonly quarantine: Quarantine;
  /** Whether the source is FUSE, where direct reads help and need no alignment. */
  readonly fuse: boolean;
}

export class FilePool {
  readonly watch: SourceWatch;
  readonly quarantine: Quarantine;
  readonly #lanes: Lanes;
  readonly #root: string;
  readonly #fuse: boolean;
  /** In order of last use. */
  readonly #files = new Map<string, SourceFile>();
  /** When each buffered read in the kernel began, in that order. */
  readonly #buffered = new Set<{ readonly since: number }>();
  readonly #sweep: NodeJS.Timeout;
  /** A source that refuses O_DIRECT. */
  #buffersOnly = false;

  constructor({ root, watch, lanes, quarantine, fuse }: FilePoolOptions) {
    this.#root = root;
    this.watch = watch;
    this.quarantine = quarantine;
    this.#lanes = lanes;
    this.#fuse = fuse;
    this.#sweep = setInterval(() => this.#dropIdle(), SourceLimits.idleTime / 4).unref();
  }

  get size(): number {
    return this.#files.size;
  }

  /** How to read now, from a file that has lately answered quickly or not. */
  modeFor(prompt: boolean): ReadMode {
    if (!this.#fuse || this.#buffersOnly) return 'buffered';
    if (!prompt) return 'direct';
    const old = performance.now() - SourceLimits.slowRead;
    let slow = 0;
    for (const { since } of this.#buffered) {
      if (since > old) break;
      slow += 1;
      if (slow >= SourceLimits.slowBuffered) return 'direct';
    }
    return 'buffered';
  }

  /** Notes a buffered read that begins; the returned function its end. */
  noteBuffered(): () => void {
    const entry = { since: performance.now() };
    this.#buffered.add(entry);
    return () => this.#buffered.delete(entry);
  }

  readLane(begin: (done: Callback<number>) => void): Promise<number> {
    return this.#lanes.data.run(begin);
  }

  /** The file of a path below the root. */
  file(path: string): SourceFile {
    let file = this.#files.get(path);
    if (file) this.#files.delete(path);
    else file = new SourceFile(this, path);
    file.lastUsed = performance.now();
    this.#files.set(path, file);
    if (this.#files.size > SourceLimits.idleDescriptors) this.#dropIdle();
    return file;
  }

  newEpoch(epoch: number): void {
    for (const file of this.#files.values()) file.dropOlderThan(epoch);
  }

  /** Lets go of the descriptors of a path. */
  forget(path: string): void {
    const file = this.#files.get(path);
    if (!file) return;
    file.drop();
    if (file.idle) this.#files.delete(path);
  }

  close(): void {
    clearInterval(this.#sweep);
    for (const file of this.#files.values()) file.drop();
    this.#files.clear();
  }

  closeIfDone(descriptor: Descriptor): void {
    if (!descriptor.doomed || descriptor.inFlight > 0 || descriptor.closed) return;
    descriptor.closed = true;
    this.#close(descriptor.fd);
  }

  /** Opens a path under the present epoch. */
  async open(path: string, mode: ReadMode): Promise<Descriptor> {
    const epoch = this.watch.require();
    const full = this.#root + path;
    let fd: number;
    try {
      fd = await this.#openFlagged(full, mode);
    } catch (error) {
      const failure = fromErrno(error);
      if (failure.code === 'noent' || failure.code === 'notdir') await this.watch.confirm(epoch);
      if (failure.code === 'timeout') throw await this.#openMissed(path, epoch, failure);
      if (failure.code === 'inval' && mode === 'direct') {
        this.#buffersOnly = true;
        return this.open(path, 'buffered');
      }
      throw failure;
    }
    const descriptor: Descriptor = { fd, epoch, mode, inFlight: 0, doomed: false, closed: false };
    try {
      await this.#check(descriptor, full);
    } catch (error) {
      descriptor.doomed = true;
      this.closeIfDone(descriptor);
      throw fromErrno(error);
    }
    return descriptor;
  }

  #openFlagged(full: string, mode: ReadMode): Promise<number> {
    const path = Buffer.from(full, 'latin1');
    const flags = mode === 'direct' ? openFlags | constants.O_DIRECT : openFlags;
    return this.#lanes.data.run<number>(
      (done) => open(path, flags, done),
      (late) => this.#close(late),
    );
  }

  /** An open that hangs while the source answers is the file's own trouble; nothing was given a buffer yet. */
  async #openMissed(path: string, epoch: number, failure: TreeError): Promise<TreeError> {
    if (!(await this.watch.answers(epoch))) {
      this.quarantine.postponed('content', path);
      return new TreeError('down', failure.message, { cause: failure });
    }
    this.quarantine.missed('content', path);
    return failure;
  }

  #close(fd: number): void {
    this.#lanes.close
      .run<undefined>((done) => close(fd, (error) => done(error ?? null, undefined)))
      .catch(() => {
        // Nothing is lost: the descriptor was only read from.
      });
  }

  /** Files in order of use: drops descriptors nobody has used lately, and the least recent above the bound. */
  #dropIdle(): void {
    const old = performance.now() - SourceLimits.idleTime;
    let excess = this.#files.size - SourceLimits.idleDescriptors;
    for (const [path, file] of this.#files) {
      if (excess <= 0 && file.lastUsed > old) break;
      excess -= 1;
      if (!file.idle) continue;
      file.drop();
      this.#files.delete(path);
    }
  }

  /** What was opened must be a regular file of the source, reached without a symlink on the way. */
  async #check(descriptor: Descriptor, full: string): Promise<void> {
    const metadata = this.#lanes.metadata;
    const stats = await metadata.run<Stats>((done) => fstat(descriptor.fd, done));
    if (this.watch.device !== undefined && stats.dev !== this.watch.device) {
      await this.watch.confirm(descriptor.epoch);
      throw new TreeError('down', 'the path led to another filesystem');
    }
    if (stats.isDirectory()) throw new TreeError('isdir');
    if (!stats.isFile()) throw new TreeError('inval', 'not a regular file');
    const reached = await metadata.run<string>((done) =>
      readlink(`/proc/self/fd/${descriptor.fd}`, 'latin1', done),
    );
    if (reached !== full && !reached.endsWith(' (deleted)')) {
      throw new TreeError('acces', 'a symlink led to another place');
    }
  }
}
