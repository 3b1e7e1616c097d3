/**
 * Pooled descriptors: one for each open path, shared by everybody, kept a while after the last use. NFS has no close,
 * and a fresh open would make the kernel drop the pages it holds of the file.
 */
import { close, constants, fstat, open, read, readlink, type Stats } from 'node:fs';
import { TreeError, fromErrno } from './errors.ts';
import type { Lanes } from './lanes.ts';
import { SourceLimits } from './limits.ts';
import type { SourceWatch } from './watch.ts';

interface Descriptor {
  readonly fd: number;
  readonly epoch: number;
  /** Reads in the kernel now; the number may only be closed, and so reused, when none is left. */
  inFlight: number;
  doomed: boolean;
  closed: boolean;
}

interface WaitingRead {
  readonly target: Buffer;
  readonly position: number;
  readonly resolve: (length: number) => void;
  readonly reject: (error: unknown) => void;
}

/** O_NONBLOCK so that a FIFO cannot hold the thread, O_NOFOLLOW so that a symlink put there cannot lead away. */
const openFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY;

/** The content of one path, whatever descriptor stands behind it now. */
export class SourceFile {
  readonly path: string;
  /** How many users asked to keep it. */
  uses = 0;
  lastUsed = 0;
  inFlight = 0;
  readonly #pool: FilePool;
  #descriptor: Descriptor | undefined;
  #opening: Promise<Descriptor> | undefined;
  readonly #waiting: WaitingRead[] = [];

  constructor(pool: FilePool, path: string) {
    this.#pool = pool;
    this.path = path;
  }

  get idle(): boolean {
    return this.uses === 0 && this.inFlight === 0 && this.#waiting.length === 0 && !this.#opening;
  }

  /**
   * Puts up to `target.length` bytes at `position` into `target`; 0 at or past the end. After a rejection the target
   * may still be written to: never use it again.
   */
  read(target: Buffer, position: number): Promise<number> {
    return this.#pool.watch.settled(this.#readOnce(target, position), () => this.#readOnce(target, position));
  }

  #readOnce(target: Buffer, position: number): Promise<number> {
    return new Promise<number>((resolve, reject) => {
      const waiting = { target, position, resolve, reject };
      if (this.inFlight < SourceLimits.readsPerFile) this.#begin(waiting);
      else if (this.#waiting.length < SourceLimits.queuePerFile) this.#waiting.push(waiting);
      else reject(new TreeError('busy', 'too many reads wait for this file'));
    });
  }

  #begin(waiting: WaitingRead): void {
    this.inFlight += 1;
    const descriptor = this.#descriptor;
    if (descriptor && !descriptor.doomed && descriptor.epoch === this.#pool.watch.epoch) {
      this.#submit(descriptor, waiting);
      return;
    }
    this.current().then(
      (opened) => this.#submit(opened, waiting),
      (error: unknown) => {
        this.#finished();
        waiting.reject(error);
      },
    );
  }

  #submit(descriptor: Descriptor, { target, position, resolve, reject }: WaitingRead): void {
    descriptor.inFlight += 1;
    this.#pool.lanes.data
      .run<number>((done) =>
        read(descriptor.fd, target, 0, target.length, position, (error, length) => {
          // Here the kernel has let go, be it long after the deadline.
          descriptor.inFlight -= 1;
          this.#finished();
          if (descriptor.doomed) this.#pool.closeWhenQuiet(descriptor);
          done(error, length);
        }),
      )
      .then(resolve, (error: unknown) => {
        const failure = fromErrno(error);
        // A descriptor of a mount that is gone never comes back; the next read opens a new one.
        if (failure.code === 'down' && this.#descriptor === descriptor) this.drop();
        reject(failure);
      });
  }

  #finished(): void {
    this.inFlight -= 1;
    const next = this.#waiting.shift();
    if (next) this.#begin(next);
  }

  /** The descriptor for the present epoch, opened when there is none. */
  current(): Promise<Descriptor> {
    const epoch = this.#pool.watch.require();
    const held = this.#descriptor;
    if (held && !held.doomed && held.epoch === epoch) return Promise.resolve(held);
    this.drop();
    this.#opening ??= this.#pool
      .open(this.path, epoch)
      .then((opened) => (this.#descriptor = opened))
      .finally(() => (this.#opening = undefined));
    return this.#opening;
  }

  /** Lets go of the descriptor; the next read opens a new one. */
  drop(): void {
    const held = this.#descriptor;
    this.#descriptor = undefined;
    if (!held) return;
    held.doomed = true;
    this.#pool.closeWhenQuiet(held);
  }

  /** Descriptors of an older mount are closed as soon as that is known. */
  dropOlderThan(epoch: number): void {
    if (this.#descriptor && this.#descriptor.epoch !== epoch) this.drop();
  }
}

export class FilePool {
  readonly watch: SourceWatch;
  readonly lanes: Lanes;
  readonly #root: string;
  /** In order of last acquisition. */
  readonly #files = new Map<string, SourceFile>();
  readonly #sweep: NodeJS.Timeout;

  constructor(root: string, watch: SourceWatch, lanes: Lanes) {
    this.#root = root;
    this.watch = watch;
    this.lanes = lanes;
    this.#sweep = setInterval(() => this.#dropIdle(), SourceLimits.idleTime / 4).unref();
  }

  get size(): number {
    return this.#files.size;
  }

  /** The file of a path below the root, for one read or, with `uses`, for longer. */
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

  /** Lets go of the descriptor; reads in flight end on the old one, later ones open anew. */
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

  closeWhenQuiet(descriptor: Descriptor): void {
    if (descriptor.inFlight > 0 || descriptor.closed) return;
    descriptor.closed = true;
    this.#close(descriptor.fd);
  }

  async open(path: string, epoch: number): Promise<Descriptor> {
    const full = this.#root + path;
    let fd: number;
    try {
      const path8 = Buffer.from(full, 'latin1');
      fd = await this.lanes.data.run<number>(
        (done) => open(path8, openFlags, done),
        (late) => this.#close(late),
      );
    } catch (error) {
      const failure = fromErrno(error);
      if (failure.code === 'noent' || failure.code === 'notdir') await this.watch.confirm(epoch);
      throw failure;
    }
    const descriptor: Descriptor = { fd, epoch, inFlight: 0, doomed: false, closed: false };
    try {
      await this.#check(descriptor, full);
    } catch (error) {
      this.closeWhenQuiet(descriptor);
      throw fromErrno(error);
    }
    return descriptor;
  }

  #close(fd: number): void {
    this.lanes.close
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
      if (file.inFlight > 0) continue;
      excess -= 1;
      file.drop();
      if (file.idle) this.#files.delete(path);
    }
  }

  /** What was opened must be a regular file of the source, reached without a symlink on the way. */
  async #check(descriptor: Descriptor, full: string): Promise<void> {
    const metadata = this.lanes.metadata;
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
