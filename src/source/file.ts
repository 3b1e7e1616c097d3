/** The content of one path, whatever descriptor stands behind it now. */
import { TreeError, fromErrno, isAbsence, type TreeErrorCode } from './errors.ts';
import type { FileServices, Wanted } from './file-services.ts';
import type { Inquiry } from './inquiry.ts';
import { SourceLimits } from './limits.ts';
import { OpenedFile, type Part } from './opened-file.ts';
import { pause } from './pause.ts';
import { ReadPattern } from './read-pattern.ts';
import { ReadPermits } from './read-permits.ts';
import { mayHoldHole } from './zeros.ts';

/** A read that runs; others who ask for the same bytes get them from it. */
interface Running {
  readonly length: number;
  readonly joined: ((outcome: Buffer | Error) => void)[];
}

/** What one try brought: a number of bytes, or an error. */
interface Outcome {
  readonly length?: number;
  /** Whether it was asked for piece by piece. */
  readonly inPieces?: boolean;
  /** Zeros that may be a hole, each time that it was asked for. */
  readonly isDoubtful?: boolean;
  readonly error?: TreeError;
  readonly tookMs: number;
}

/** Errors that say nothing of the file that would have to be confirmed. */
const passing: ReadonlySet<TreeErrorCode> = new Set(['busy', 'cancelled', 'timeout', 'again', 'isdir']);

/** Errors that are handed on as they are; others are I/O errors of the file. */
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
  /** Users who keep it open: then reads are not the only sign of use. */
  #holders = 0;
  #reads = 0;

  constructor(services: FileServices, path: string) {
    this.#services = services;
    this.#opened = new OpenedFile(services, path);
    this.path = path;
  }

  /** Whether nothing runs and nothing is held. */
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

  /** A client has it open. The last one to let go closes the descriptor at once, unless somebody else has just read. */
  hold(): () => void {
    this.#holders += 1;
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#holders -= 1;
      if (this.#holders === 0 && this.#reads === 0 && !this.pattern.isSharedNow) this.#opened.drop();
    };
  }

  /** Lets go of the descriptor; reads in flight end on it, later ones open anew. */
  drop(): void {
    this.#opened.drop();
  }

  /** Descriptors of an older mount are closed as soon as that is known. */
  dropOlderThan(epoch: number): void {
    this.#opened.dropOlderThan(epoch);
  }

  /** Closes the descriptor when nobody has read for a while, whoever holds the file. */
  closeIfUnused(now: number, idleMs: number | undefined): void {
    if (this.#opened.descriptor && this.#reads === 0 && this.pattern.isOver(now, idleMs)) this.#opened.drop();
  }

  /**
   * Puts `target.length` bytes at `position` into `target`. Resolves with fewer only when a fresh look says that the file ends
   * there. Errors: `down` while the source is away, `again` when it went while the target may still be written to,
   * otherwise what was confirmed of this file; after any but `down` never use the target again.
   */
  read(target: Buffer, position: number, wanted?: Wanted): Promise<number> {
    const same = this.#running.get(position);
    if (same?.length === target.length) return join(same, target);
    let permits: ReadPermits;
    try {
      permits = new ReadPermits(this.#services.quarantine, this.path, position, target.length);
    } catch (error) {
      return Promise.reject(fromErrno(error));
    }
    const running: Running = { length: target.length, joined: [] };
    if (!same) this.#running.set(position, running);
    const since = performance.now();
    this.#reads += 1;
    this.pattern.note(position, target.length, since, this.#holders > 0);
    const done = this.#parts(target, position, permits, wanted).then(
      (length) => {
        this.#end(running, position, permits);
        this.#share(running, target.subarray(0, length), position, performance.now() - since);
        return length;
      },
      (error: unknown) => {
        this.#end(running, position, permits);
        for (const other of running.joined) other(error as Error);
        throw error;
      },
    );
    return permits.retryOf ? this.#services.retries.soon(done, permits.retryOf) : done;
  }

  #end(running: Running, position: number, permits: ReadPermits): void {
    permits.withdraw();
    this.#reads -= 1;
    this.pattern.ended(performance.now());
    if (this.#running.get(position) === running) this.#running.delete(position);
  }

  #share(running: Running, bytes: Buffer, position: number, tookMs: number): void {
    this.#services.counts.bytesServed += bytes.length * (1 + running.joined.length);
    for (const other of running.joined) other(bytes);
    if (tookMs >= SourceLimits.lateRead)
      this.#services.late.keep(this.path, position, running.length, Buffer.from(bytes));
  }

  /** A direct read is one FUSE request after the other: asked for in parts, they run beside each other. */
  #parts(
    target: Buffer,
    position: number,
    permits: ReadPermits,
    wanted: Wanted | undefined,
  ): Promise<number> {
    const size = this.#services.partSize(this.path);
    if (target.length <= size) return this.#part({ target, position, permits, wanted });
    // What a slow read brought home was kept as it was asked for.
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
    // What ends in zeros bears no witness.
    const piece = Math.min(length, SourceLimits.opinionBytes);
    if (mayHoldHole(target.subarray(0, piece), position)) return length;
    this.#services.answered(this.path, position, piece);
    if (this.#opened.descriptor?.hasAnswered) this.#opened.descriptor.witness = position;
    return length;
  }

  /** One piece of bad news: asks again until it is an answer, a verdict or an outage. */
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
        // The rest of a short answer is asked for from now on, as this is the daemon's way.
        this.#services.habits.answeredInPieces(this.path);
      }
    } finally {
      inquiry?.withdraw();
    }
  }

  /**
   * Whether the descriptor may be that of a daemon that leaves, and is of no use any more. One that has never given anything is
   * kept: a daemon may count failures by open file, and take a minute for the first of each (Decypharr does).
   */
  #isSpent({ error }: Outcome): boolean {
    return !error || error.code === 'down' || (this.#opened.descriptor?.hasAnswered ?? false);
  }

  /**
   * Asks again for bytes that may be a hole: from a descriptor that shows that the daemon is not leaving, as it was opened before
   * that could have begun; else from fresh ones, over longer than a daemon takes to leave that nobody holds open. Resolves with
   * what came last; it is doubtful if zeros came each time and others are not well either.
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

  /** Whether a fresh look says that the file ends where the answer did. */
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
    // A name that is still there has not gone, whatever its content says: then the error is the content's.
    const isGone = isAbsence(failure.code) && !(await this.#services.isThere(this.path));
    const code = isGone || definite.has(failure.code) ? failure.code : 'io';
    if (code === 'io') part.permits.failed(part.position, code);
    return code === failure.code ? failure : new TreeError(code, failure.message, { cause: failure });
  }

  /** For a second opinion: one read, whose outcome is taken as it is. */
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

/** All of them: after a failure none may still write into the target. */
async function joinParts(parts: readonly Promise<number>[], size: number, whole: number): Promise<number> {
  const outcomes = await Promise.allSettled(parts);
  let length = 0;
  for (const [i, outcome] of outcomes.entries()) {
    if (outcome.status === 'rejected') throw worst(outcomes);
    length += outcome.value;
    if (outcome.value < Math.min(size, whole - i * size)) break;
  }
  return length;
}

/** If one part still owns its buffer, that is what the caller has to hear. */
function worst(outcomes: readonly PromiseSettledResult<number>[]): unknown {
  const reasons = outcomes.flatMap((one) => (one.status === 'rejected' ? [one.reason as unknown] : []));
  const has = (code: TreeErrorCode) => reasons.find((one) => one instanceof TreeError && one.code === code);
  return has('timeout') ?? has('again') ?? reasons[0];
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
