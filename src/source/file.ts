/** The content of one path. Descriptors are opened, closed and replaced as needed. */
import { TreeError, fromErrno, isAbsence, ownsBuffer, worstOf, type TreeErrorCode } from './errors.ts';
import { isWanted, type FileServices, type Wanted } from './file-services.ts';
import type { Inquiry } from './inquiry.ts';
import { SourceLimits } from './limits.ts';
import { OpenedFile, type Part } from './opened-file.ts';
import { pause } from './pause.ts';
import { ReadPattern } from './read-pattern.ts';
import { ReadPermits } from './read-permits.ts';
import { mayHoldHole } from './zeros.ts';

/** A running read. Further reads of the same range join it and get its result. */
interface Running {
  readonly length: number;
  /** Of the first caller and of those that joined. The read is wanted as long as one of them wants it. */
  readonly wanted: (Wanted | undefined)[];
  /** The known error, if this is the one try after a cool-down. */
  readonly retryOf: TreeError | undefined;
  readonly joined: ((outcome: Buffer | Error) => void)[];
}

/** Options of tryRead. */
export interface TryOptions {
  /** Called before a queued read begins: false if the bytes are no longer needed. */
  readonly wanted: Wanted;
  /** Whether a client waits for these bytes now. */
  readonly isAwaited: () => boolean;
  /** Whether no client has asked for them (reading ahead): then the call does not delay clients' own reads. */
  readonly isAhead: boolean;
}

/**
 * - `whole`: all bytes were read, and none of them is doubtful.
 * - `refused`: the read failed, or is short or doubtful. It says nothing about the file.
 * - `lost`: the read failed, and the kernel may still write to the target.
 */
export type TryOutcome = 'whole' | 'refused' | 'lost';

/** The result of one attempt: a number of bytes, or an error. */
interface Outcome {
  readonly length?: number;
  /** Whether the rest of short answers was requested with further reads. */
  readonly inPieces?: boolean;
  /** Every attempt returned zeros that may be a hole. */
  readonly isDoubtful?: boolean;
  readonly error?: TreeError;
  readonly tookMs: number;
}

/** Errors that are returned at once, without a confirmation by further attempts. */
const passing: ReadonlySet<TreeErrorCode> = new Set(['busy', 'cancelled', 'timeout', 'again', 'isdir']);

/** Confirmed errors that keep their code; others become I/O errors of the file. */
const definite: ReadonlySet<TreeErrorCode> = new Set([
  'acces',
  'perm',
  'inval',
  'loop',
  'nametoolong',
  'notsupp',
  'fbig',
]);

export class SourceFile {
  readonly path: string;
  readonly pattern = new ReadPattern();
  readonly #services: FileServices;
  readonly #running = new Map<number, Running>();
  readonly #opened: OpenedFile;
  /** Number of clients that have the file open. */
  #holders = 0;
  #reads = 0;
  /** Those of `#reads` that read ahead. */
  #readsAhead = 0;

  constructor(services: FileServices, path: string) {
    this.#services = services;
    this.#opened = new OpenedFile(services, path);
    this.path = path;
  }

  /** Whether no read runs and no client has the file open. */
  get isIdle(): boolean {
    return this.#reads === 0 && this.#holders === 0;
  }

  get isOpen(): boolean {
    return this.#opened.descriptor !== undefined;
  }

  /** Whether no read runs. */
  get isUnread(): boolean {
    return this.#reads === 0;
  }

  /**
   * Counts a client that has the file open, until the returned function is called. The last release closes the descriptor at
   * once, unless a client without an open (NFS) has just read.
   */
  hold(): () => void {
    this.#holders += 1;
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#holders -= 1;
      const isRead = this.#reads > this.#readsAhead;
      if (this.#holders === 0 && !isRead && !this.pattern.isSharedNow) this.#opened.drop();
    };
  }

  /** The content has changed: what was asked for before answers only those who have asked. */
  forget(): void {
    this.#running.clear();
    this.#opened.forget();
  }

  /** Drops the descriptor: running reads finish on it, later ones open a new one. */
  drop(): void {
    this.#opened.drop();
  }

  /** Drops a descriptor of an earlier mount. */
  dropOlderThan(epoch: number): void {
    this.#opened.dropOlderThan(epoch);
  }

  /** Closes the descriptor if the file has not been read for a while, even if clients have it open. */
  closeIfUnused(now: number, idleMs: number | undefined): void {
    if (this.#opened.descriptor && this.#reads === 0 && this.pattern.isOver(now, idleMs)) this.#opened.drop();
  }

  /**
   * Reads `target.length` bytes at `position` into `target`. Resolves with fewer only if a fresh lookup says that the file ends
   * there. Errors: `down` while the source is absent; `again` if it went away and the kernel may still write to the target;
   * otherwise the confirmed error of this file. After any error but `down`, never use the target again.
   */
  read(target: Buffer, position: number, wanted?: Wanted): Promise<number> {
    const same = this.#running.get(position);
    if (same?.length === target.length) {
      same.wanted.push(wanted);
      return this.#unlessSlow(join(same, target), same.retryOf);
    }
    let permits: ReadPermits;
    try {
      permits = new ReadPermits(this.#services.quarantine, this.path, position, target.length);
    } catch (error) {
      return Promise.reject(fromErrno(error));
    }
    const running: Running = {
      length: target.length,
      wanted: [wanted],
      retryOf: permits.retryOf,
      joined: [],
    };
    if (!same) this.#running.set(position, running);
    const { version } = this.#opened;
    const since = performance.now();
    this.#reads += 1;
    this.pattern.note(position, target.length, since, this.#holders > 0);
    const done = this.#parts(target, position, permits, () => isWanted(running.wanted)).then(
      (length) => {
        this.#end(running, position, permits);
        const bytes = target.subarray(0, length);
        for (const other of running.joined) other(bytes);
        const isLate = performance.now() - since >= SourceLimits.lateRead;
        if (isLate && version === this.#opened.version)
          this.#services.late.keep(this.path, position, running.length, Buffer.from(bytes));
        return length;
      },
      (error: unknown) => {
        this.#end(running, position, permits);
        for (const other of running.joined) other(error as Error);
        throw error;
      },
    );
    return this.#unlessSlow(done, permits.retryOf);
  }

  /** A try after a cool-down does not keep its readers for long: they get the known error. */
  #unlessSlow(read: Promise<number>, known: TreeError | undefined): Promise<number> {
    return known ? this.#services.retries.soon(read, known) : read;
  }

  /**
   * Reads bytes once, without confirming a failure: a caller that needs the bytes calls `read`, which does. So it holds no
   * request and begins no inquiry. It puts the file in quarantine only if the read hangs while a client waits for it.
   */
  async tryRead(target: Buffer, position: number, options: TryOptions): Promise<TryOutcome> {
    const { quarantine } = this.#services;
    if (quarantine.knows('content', this.path)) return 'refused';
    const permits = new ReadPermits(quarantine, this.path, position, target.length);
    const { wanted, isAwaited, isAhead } = options;
    const ahead = { isAwaited, isBeside: isAhead };
    this.#reads += 1;
    if (isAhead) this.#readsAhead += 1;
    this.pattern.note(position, target.length, performance.now(), this.#holders > 0);
    try {
      const size = this.#services.partSize(this.path);
      const parts: Promise<TryOutcome>[] = [];
      for (let at = 0; at < target.length; at += size) {
        const part = target.subarray(at, at + size);
        parts.push(this.#tryPart({ target: part, position: position + at, permits, wanted, ahead }));
      }
      const outcomes = await Promise.all(parts);
      if (outcomes.includes('lost')) return 'lost';
      return outcomes.includes('refused') ? 'refused' : 'whole';
    } finally {
      permits.withdraw();
      this.#reads -= 1;
      if (isAhead) this.#readsAhead -= 1;
      this.pattern.ended(performance.now());
    }
  }

  async #tryPart(part: Part): Promise<TryOutcome> {
    if (this.#cameLate(part.target, part.position) !== undefined) return 'whole';
    try {
      const length = await this.#opened.ask(part);
      if (length < part.target.length) {
        this.#services.cameShort();
        return 'refused';
      }
      if (this.#mayBeHole(part)) return 'refused';
      this.#whole(part, length);
      return 'whole';
    } catch (error) {
      return ownsBuffer(error) ? 'lost' : 'refused';
    }
  }

  /** Whether the daemon fetches ahead of a reader by itself. */
  get fetchesAhead(): boolean {
    return this.#services.fetchesAhead();
  }

  #end(running: Running, position: number, permits: ReadPermits): void {
    permits.withdraw();
    this.#reads -= 1;
    this.pattern.ended(performance.now());
    if (this.#running.get(position) === running) this.#running.delete(position);
  }

  /** The kernel sends the FUSE requests of one O_DIRECT read in sequence, so split a large read into parallel parts. */
  #parts(
    target: Buffer,
    position: number,
    permits: ReadPermits,
    wanted: Wanted | undefined,
  ): Promise<number> {
    const size = this.#services.partSize(this.path);
    if (target.length <= size) return this.#part({ target, position, permits, wanted });
    // The result of a slow read is kept for the whole range, not for its parts.
    const late = this.#cameLate(target, position);
    if (late !== undefined) return Promise.resolve(late);
    const parts: Promise<number>[] = [];
    for (let at = 0; at < target.length; at += size) {
      const part = target.subarray(at, at + size);
      parts.push(this.#part({ target: part, position: position + at, permits, wanted }));
    }
    return joinParts(parts, size, target.length);
  }

  #cameLate(target: Buffer, position: number): number | undefined {
    return this.#services.late.get(this.path, position, target.length)?.copy(target);
  }

  #part(part: Part): Promise<number> {
    const late = this.#cameLate(part.target, part.position);
    if (late !== undefined) return Promise.resolve(late);
    const begun = performance.now();
    return this.#opened.ask(part).then(
      (length) => {
        if (length === part.target.length && !this.#mayBeHole(part)) return this.#whole(part, length);
        return this.#hold(part, { length, tookMs: performance.now() - begun });
      },
      (error: unknown) => this.#hold(part, { error: fromErrno(error), tookMs: performance.now() - begun }),
    );
  }

  #mayBeHole({ target, position }: Part): boolean {
    const { isFuse, zeros } = this.#services;
    return mayHoldHole(target, position) && isFuse() && !zeros.has(this.path, position, target.length);
  }

  #whole({ target, position, permits }: Part, length: number): number {
    permits.answered(position);
    // Bytes that may hold a hole do not prove that the source is well.
    const piece = Math.min(length, SourceLimits.opinionBytes);
    if (mayHoldHole(target.subarray(0, piece), position)) return length;
    this.#services.answered(this.path, position, piece);
    if (this.#opened.descriptor?.hasAnswered) this.#opened.descriptor.witness = position;
    return length;
  }

  /** Handles an error or a short or doubtful answer: reads again until there is an answer, a verdict or an outage. */
  async #hold(part: Part, first: Outcome): Promise<number> {
    let inquiry: Inquiry | undefined;
    try {
      for (let outcome = first; ; outcome = await this.#askAgain(part)) {
        if (outcome.length === part.target.length) outcome = await this.#pastHoles(part, outcome);
        if (outcome.length === part.target.length && !outcome.isDoubtful) {
          inquiry?.answered();
          return this.#whole(part, outcome.length);
        }
        if (outcome.error && passing.has(outcome.error.code)) throw outcome.error;
        if (this.#isSpent(outcome) || inquiry?.sawUnwell) this.#opened.drop();
        if (outcome.error?.code === 'down' && this.#services.watch.state !== 'live') throw outcome.error;
        if (!outcome.error && !this.#services.isFuse() && (await this.#endsAt(part, outcome)))
          return outcome.length!;
        const news = outcome.error?.code ?? 'short';
        inquiry ??= this.#services.inquire(this.path);
        if ((await inquiry.weigh(news, outcome.tookMs)) === 'again') continue;
        if (outcome.isDoubtful) {
          this.#services.zeros.add(this.path, part.position, part.target.length);
          return this.#whole(part, outcome.length!);
        }
        if (!outcome.error && (await this.#endsAt(part, outcome))) return outcome.length!;
        if (!outcome.length || outcome.inPieces) throw await this.#confirmed(part, outcome);
        // From now on the rest of a short answer is requested with further reads: this daemon answers in pieces.
        this.#services.habits.answeredInPieces(this.path);
      }
    } finally {
      inquiry?.withdraw();
    }
  }

  /**
   * Whether to replace the descriptor, as its daemon may be shutting down. One that has never returned bytes is kept: a daemon
   * may take a minute for the first failure of each open file (Decypharr does).
   */
  #isSpent({ error }: Outcome): boolean {
    return !error || error.code === 'down' || (this.#opened.descriptor?.hasAnswered ?? false);
  }

  /**
   * Checks bytes that may be a hole. If an old descriptor still answers, the daemon is not shutting down, and the zeros are
   * real. Else reads again from fresh descriptors, for longer than a daemon without open files takes to shut down. Resolves
   * with the last outcome; it is doubtful if zeros came every time and other files do not answer either.
   */
  async #pastHoles(part: Part, first: Outcome): Promise<Outcome> {
    let outcome = first;
    const { zeros, watch } = this.#services;
    const epoch = watch.require();
    const isOpen = () => outcome.length === part.target.length && this.#mayBeHole(part);
    let isWitnessed = false;
    for (const pauseMs of SourceLimits.zeroPauses) {
      if (!isOpen()) return outcome;
      isWitnessed = await this.#opened.isWitness(part.position);
      if (isWitnessed) break;
      await pause(pauseMs);
      this.#opened.drop();
      outcome = await this.#askAgain(part);
    }
    if (!isOpen()) return outcome;
    await watch.confirm(epoch);
    if (!(await this.#services.isAboveSuspicion(this.path, isWitnessed)))
      return { ...outcome, isDoubtful: true };
    zeros.add(this.path, part.position, part.target.length);
    return outcome;
  }

  /** Whether the file ends where the answer ended, by a fresh lookup. */
  async #endsAt({ position }: Part, { length }: Outcome): Promise<boolean> {
    return (await this.#services.sizeNow(this.path)) <= position + length!;
  }

  async #askAgain(part: Part): Promise<Outcome> {
    const begun = performance.now();
    const inPieces = this.#services.habits.answersInPieces(this.path);
    return await this.#opened.ask(part).then(
      (length) => ({ length, inPieces, tookMs: performance.now() - begun }),
      (error: unknown) => ({ error: fromErrno(error), tookMs: performance.now() - begun }),
    );
  }

  async #confirmed(part: Part, { length, error }: Outcome): Promise<TreeError> {
    const failure =
      error ?? new TreeError('io', `the source answers ${length ?? 0} bytes before the end of the file`);
    // If the name still exists, ENOENT from a read is an I/O error of the content.
    const isGone = isAbsence(failure.code) && !(await this.#services.isThere(this.path));
    const code = isGone || definite.has(failure.code) ? failure.code : 'io';
    if (code === 'io') part.permits.failed(part.position, code);
    return code === failure.code ? failure : new TreeError(code, failure.message, { cause: failure });
  }

  /** A single read without confirmation, for a second opinion. */
  async askOnce(target: Buffer, position: number): Promise<number> {
    const permits = new ReadPermits(this.#services.quarantine, this.path, position, target.length);
    this.#reads += 1;
    try {
      return await this.#opened.ask({ target, position, permits, wanted: undefined });
    } finally {
      permits.withdraw();
      this.#reads -= 1;
    }
  }
}

/** Waits for all parts, so that no part still runs after a failure. */
async function joinParts(parts: readonly Promise<number>[], size: number, whole: number): Promise<number> {
  const outcomes = await Promise.allSettled(parts);
  const errors = outcomes.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []));
  // Also after a short part: the kernel may still write to the buffer.
  if (errors.some(ownsBuffer)) throw worstOf(errors);
  let length = 0;
  for (const [i, outcome] of outcomes.entries()) {
    if (outcome.status === 'rejected') throw worstOf(errors);
    length += outcome.value;
    if (outcome.value < Math.min(size, whole - i * size)) break;
  }
  return length;
}

function join(running: Running, target: Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    running.joined.push((outcome) => {
      if (outcome instanceof Error) reject(outcome);
      else {
        outcome.copy(target);
        resolve(outcome.length);
      }
    });
  });
}
