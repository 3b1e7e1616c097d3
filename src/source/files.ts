/** The files of one mount that are in use. Each has at most one descriptor, opened by path at the first read. */
import { constants, fstat, open, readlink, type Stats } from 'node:fs';
import type { ContentCounts } from './content-counts.ts';
import type { DaemonHabits } from './daemon-habits.ts';
import { Descriptor, closeSoon } from './descriptor.ts';
import { TreeError, fromErrno } from './errors.ts';
import { SourceFile } from './file.ts';
import type { FileServices, Wanted } from './file-services.ts';
import type { Inquiry, InquiryOptions, Suspicion } from './inquiry.ts';
import type { Lane, Lanes } from './lanes.ts';
import { LateResults } from './late-results.ts';
import { SourceLimits } from './limits.ts';
import { Opinions } from './opinions.ts';
import type { Quarantine } from './quarantine.ts';
import type { RawAttributes } from './raw.ts';
import { Retries } from './retries.ts';
import type { SourceWatch } from './watch.ts';
import { ConfirmedZeros, mayHoldHole } from './zeros.ts';

/** O_NONBLOCK: a FIFO must not block the thread. O_NOFOLLOW: a symlink must not lead out of the mount. */
const openFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK | constants.O_NOCTTY;

const openKey = (path: string) => `${path}\0open`;

export interface FilePoolOptions {
  /** Canonical path of the export, a byte string without a slash at its end. */
  readonly root: string;
  /** Place of the mount, below the root. */
  readonly base: string;
  readonly watch: SourceWatch;
  readonly lanes: Lanes;
  readonly quarantine: Quarantine;
  readonly habits: DaemonHabits;
  readonly counts: ContentCounts;
  readonly isFuse: () => boolean;
  /** The st_dev that a file of the mount must have; undefined if any is allowed. */
  readonly device: (path: string) => number | undefined;
  /** Throws `down` if an opened file does not belong to the mount. */
  readonly checkMount: (descriptor: number, path: string) => Promise<void>;
  /** Largest FUSE read in bytes; undefined if the mount options do not tell. */
  readonly maxRead: () => number | undefined;
  readonly fetchesAhead: () => boolean;
  /** A fresh lookup of a path. */
  readonly lookAt: (path: string) => Promise<RawAttributes>;
  /** Begins an inquiry about the content of a path. */
  readonly inquire: (about: Omit<InquiryOptions, 'confirm'>) => Inquiry;
  /** Milliseconds without reads after which a file is closed; undefined: idleProbe and idleStream apply. */
  readonly idleCloseMs: number | undefined;
  readonly verdictMs: number;
  readonly suspicion: Suspicion;
}

export class FilePool implements FileServices {
  readonly watch: SourceWatch;
  readonly quarantine: Quarantine;
  readonly lane: Lane;
  readonly late = new LateResults();
  readonly retries = new Retries();
  readonly habits: DaemonHabits;
  readonly counts: ContentCounts;
  readonly isFuse: () => boolean;
  readonly fetchesAhead: () => boolean;
  readonly zeros = new ConfirmedZeros();
  readonly verdictMs: number;
  readonly #options: FilePoolOptions;
  readonly #opinions = new Opinions((path, place, length) => this.#isWell(path, place, length));
  /** Least recently used first. */
  readonly #files = new Map<string, SourceFile>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: FilePoolOptions) {
    this.#options = options;
    this.watch = options.watch;
    this.quarantine = options.quarantine;
    this.lane = options.lanes.data;
    this.habits = options.habits;
    this.counts = options.counts;
    this.isFuse = options.isFuse;
    this.fetchesAhead = options.fetchesAhead;
    this.verdictMs = options.verdictMs;
  }

  /** The number of open descriptors. */
  get descriptors(): number {
    let open = 0;
    for (const file of this.#files.values()) if (file.isOpen) open += 1;
    return open;
  }

  /** The file of a path. It is opened at the first read. */
  file(path: string): SourceFile {
    let file = this.#files.get(path);
    if (file) this.#files.delete(path);
    else file = new SourceFile(this, path);
    this.#files.set(path, file);
    if (this.#excess > 0) this.#dropExcess();
    this.#timer ??= setInterval(() => this.#sweep(), SourceLimits.sweepInterval).unref();
    return file;
  }

  newEpoch(epoch: number): void {
    this.late.clear();
    this.zeros.clear();
    for (const file of this.#files.values()) file.dropOlderThan(epoch);
  }

  /** Drops cached data and the descriptor of a path that is gone or has new content. */
  forget(path: string): void {
    this.late.forget(path);
    this.zeros.forget(path);
    this.#opinions.forget(path);
    // What was wrong with the old content may not be with the new one.
    if (this.quarantine.knows('content', path)) this.quarantine.retry('content', path);
    this.#files.get(path)?.forget();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    for (const file of this.#files.values()) file.drop();
    this.#files.clear();
  }

  /** Closes files that have not been read for a while, and forgets unused ones. */
  #sweep(): void {
    const now = performance.now();
    for (const [path, file] of this.#files) {
      file.closeIfUnused(now, this.#options.idleCloseMs);
      if (!file.isOpen && file.isIdle) this.#files.delete(path);
    }
    if (this.#files.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #closeUnread(): void {
    for (const file of this.#files.values()) if (file.isUnread) file.drop();
  }

  /** How many files to close. The limit is for all mounts of the export together. */
  get #excess(): number {
    const { opens, closes } = this.counts;
    return Math.max(this.#files.size, opens - closes) - SourceLimits.descriptors;
  }

  #dropExcess(): void {
    let excess = this.#excess;
    for (const [path, file] of this.#files) {
      if (excess <= 0) return;
      if (!file.isUnread) continue;
      excess -= 1;
      file.drop();
      if (file.isIdle) this.#files.delete(path);
    }
  }

  // -- For the files -----------------------------------------------------------------------------------------------------

  partSize(path: string): number {
    if (!this.habits.readsDirect(path)) return Number.POSITIVE_INFINITY;
    const most = this.#options.maxRead() ?? SourceLimits.directPart;
    return Math.min(SourceLimits.directPart, Math.max(SourceLimits.smallestPart, most));
  }

  async sizeNow(path: string): Promise<number> {
    return (await this.#options.lookAt(path)).size;
  }

  isThere(path: string): Promise<boolean> {
    return this.#options.lookAt(path).then(
      () => true,
      () => false,
    );
  }

  inquire(path: string): Inquiry {
    return this.#options.inquire({
      convicted: this.quarantine.knows('content', path),
      wasWell:
        this.#files.get(path)?.pattern.isStream === true &&
        this.#opinions.hasAnswered(path, 2 * this.verdictMs),
      opinion: () => this.#opinions.about(path),
      // A daemon shuts down sooner with fewer open files: Decypharr needs 0.1 s instead of 1.5 s.
      onSuspicion: () => this.#closeUnread(),
    });
  }

  async isAboveSuspicion(path: string, isWitnessed: boolean): Promise<boolean> {
    const { suspicion } = this.#options;
    if (suspicion.calls > 0 || suspicion.isRecent) return false;
    return isWitnessed || (await this.#opinions.about(path)) !== 'unwell';
  }

  cameShort(): void {
    this.#options.suspicion.cameShort(this.verdictMs);
  }

  answered(path: string, position: number, length: number): void {
    this.#opinions.note(path, position, length);
  }

  readonly stillWell = (epoch: number): Promise<boolean> =>
    this.watch.confirm(epoch).then(
      () => true,
      () => false,
    );

  async open(path: string, wanted: Wanted | undefined): Promise<Descriptor> {
    const { lanes, base } = this.#options;
    const epoch = this.watch.require();
    const full = this.#options.root + path;
    const direct = this.habits.readsDirect(path);
    let number: number;
    try {
      const flags = direct ? openFlags | constants.O_DIRECT : openFlags;
      number = await this.#openWith(flags, path, full, wanted).catch(async (error: unknown) => {
        // mergerfs may show a symlink as a file but pass O_NOFOLLOW on, which fails. #check verifies what was opened.
        if (fromErrno(error).code !== 'loop' || (await this.#options.lookAt(path)).kind !== 'file')
          throw error;
        return await this.#openWith(flags & ~constants.O_NOFOLLOW, path, full, wanted);
      });
    } catch (error) {
      const failure = fromErrno(error);
      if (failure.code === 'inval' && direct) {
        this.habits.refusedDirect(path);
        return await this.open(path, wanted);
      }
      if (failure.code === 'timeout') throw await this.#openMissed(path, epoch, failure);
      throw failure;
    }
    const descriptor = new Descriptor(number, epoch, direct, lanes.close, base, this.counts);
    try {
      await this.#check(number, path, full);
    } catch (error) {
      descriptor.doom();
      throw fromErrno(error);
    }
    return descriptor;
  }

  #openWith(flags: number, path: string, full: string, wanted: Wanted | undefined): Promise<number> {
    // Open and read have separate lane keys: a quick open does not show that reads are quick.
    return this.lane.run<number>(openKey(path), (done) => open(Buffer.from(full, 'latin1'), flags, done), {
      onLate: (late) => {
        closeSoon(this.#options.lanes.close, this.#options.base, late);
        this.quarantine.permit('content', path).answered();
      },
      wanted,
    });
  }

  /** An open that hangs while the source answers counts against this file. No buffer is in use yet, so `down` is safe. */
  async #openMissed(path: string, epoch: number, failure: TreeError): Promise<TreeError> {
    if (!(await this.stillWell(epoch))) return new TreeError('down', failure.message, { cause: failure });
    this.quarantine.permit('content', path).failed('timeout');
    this.lane.dismiss(failure, (key) => key === openKey(path));
    return failure;
  }

  /** Checks that the descriptor is a regular file of the mount, reached without a symlink. */
  async #check(number: number, path: string, full: string): Promise<void> {
    const { metadata } = this.#options.lanes;
    const directory = path.slice(0, path.lastIndexOf('/'));
    const [stats, reached] = await Promise.all([
      metadata.run<Stats>(directory, (done) => fstat(number, done)),
      metadata.run<string>(directory, (done) => readlink(`/proc/self/fd/${number}`, 'latin1', done)),
    ]);
    const device = this.#options.device(path);
    if (device !== undefined && stats.dev !== device)
      throw new TreeError('down', 'the path led to another filesystem');
    await this.#options.checkMount(number, directory);
    if (stats.isDirectory()) throw new TreeError('isdir');
    if (!stats.isFile()) throw new TreeError('inval', 'not a regular file');
    if (reached !== full && reached !== `${full} (deleted)`)
      throw new TreeError('acces', 'a symlink led to another place');
  }

  /** For a second opinion: whether a recently read file still returns the bytes at `place`, without a hole. */
  async #isWell(path: string, place: number, length: number): Promise<boolean> {
    const target = Buffer.allocUnsafe(Math.min(length, SourceLimits.opinionBytes));
    const file = this.file(path);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<false>((resolve) => {
      timer = setTimeout(() => resolve(false), SourceLimits.opinionDeadline);
    });
    const asked = file.askOnce(target, place).then(
      (got) => got === target.length && !mayHoldHole(target, place),
      () => false,
    );
    try {
      return await Promise.race([asked, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}
