/** The descriptor of one path, opened on demand, and single reads from it. Results are judged in file.ts, not here. */
import { read } from 'node:fs';
import type { Descriptor } from './descriptor.ts';
import { TreeError, fromErrno } from './errors.ts';
import { isWanted, type FileServices, type Wanted } from './file-services.ts';
import type { CallOptions, Callback } from './lanes.ts';
import { SourceLimits } from './limits.ts';
import { ReadPermits } from './read-permits.ts';
import { mayHoldHole } from './zeros.ts';

/** The range of one part of a read; the whole read if it is not split. */
export interface Part {
  readonly target: Buffer;
  readonly position: number;
  readonly permits: ReadPermits;
  readonly wanted: Wanted | undefined;
  /** Set for a tryRead only. */
  readonly ahead?: Ahead;
}

export interface Ahead {
  /** Whether a client waits for it now: only then a hang counts against the file. */
  readonly isAwaited: () => boolean;
  /** Whether it reads ahead: then it has its own lane key, so that it does not delay clients' reads of this file. */
  readonly isBeside: boolean;
}

export class OpenedFile {
  readonly path: string;
  readonly #services: FileServices;
  #descriptor: Descriptor | undefined;
  #opening: Promise<Descriptor> | undefined;
  /** The predicates of the callers that wait for the descriptor. */
  readonly #openers: (Wanted | undefined)[] = [];
  /** Counts how often the content was seen to have changed. */
  version = 0;

  constructor(services: FileServices, path: string) {
    this.#services = services;
    this.path = path;
  }

  /** The open descriptor, if any. */
  get descriptor(): Descriptor | undefined {
    return this.#descriptor;
  }

  /** Reads the part once. If the daemon answers in pieces, continues until the part is complete. */
  async ask(part: Part): Promise<number> {
    const descriptor = this.#usable() ?? (await this.#open(part.wanted));
    let length = await this.#pread(descriptor, part, 0);
    if (length === part.target.length) return length;
    while (this.#services.habits.answersInPieces(this.path) && length > 0 && length < part.target.length) {
      const more = await this.#pread(descriptor, part, length);
      if (more === 0) break;
      length += more;
    }
    return length;
  }

  #usable(): Descriptor | undefined {
    const held = this.#descriptor;
    return held && !held.isDoomed && held.epoch === this.#services.watch.require() ? held : undefined;
  }

  /** One pread into the rest of the part. */
  #pread(descriptor: Descriptor, part: Part, from: number): Promise<number> {
    const { lane, counts, late, habits } = this.#services;
    const target = from === 0 ? part.target : part.target.subarray(from);
    const position = part.position + from;
    descriptor.acquire();
    const { version } = this;
    const options: CallOptions<number> = {
      // The caller has already got `timeout`. Keep a copy of the bytes for a repeated request.
      onLate: (length) => {
        part.permits.answered(position);
        const isWhole = length === target.length && !mayHoldHole(target, position);
        if (isWhole && version === this.version) late.keep(this.path, position, length, Buffer.from(target));
      },
      onEnd: () => descriptor.release(),
      wanted: part.wanted,
      most: this.#callsAtOnce(descriptor, part),
    };
    const begin = (done: Callback<number>) => {
      counts.bytesAsked += target.length;
      read(descriptor.number, target, 0, target.length, position, done);
    };
    return lane.run(this.#key(part), begin, options).then(
      (length) => {
        if (length > 0 && !descriptor.hasAnswered) {
          descriptor.hasAnswered = true;
          if (descriptor.direct) habits.tookDirect();
        }
        return length;
      },
      (error: unknown) => this.#preadFailed(descriptor, part, from, fromErrno(error)),
    );
  }

  #callsAtOnce({ direct }: Descriptor, { ahead }: Part): number {
    if (!direct && this.#services.isFuse()) return SourceLimits.bufferedPerFile;
    return ahead?.isBeside ? SourceLimits.callsAhead : SourceLimits.callsPerKey;
  }

  #key({ ahead }: Part): string {
    return ahead?.isBeside ? `${this.path}\0ahead` : this.path;
  }

  async #preadFailed(descriptor: Descriptor, part: Part, from: number, failure: TreeError): Promise<number> {
    const { lane, watch } = this.#services;
    if (failure.code === 'inval' && descriptor.direct) return await this.#pastDirect(part, from);
    if (failure.code === 'down' && descriptor.hasAnswered) await watch.remounted(descriptor.epoch);
    if (failure.code !== 'timeout') throw failure;
    // The timeout counts against the file only if the source answers other calls.
    if (!(await this.#services.stillWell(descriptor.epoch)))
      throw new TreeError('again', failure.message, { cause: failure });
    if (part.ahead?.isAwaited() ?? true) part.permits.timedOut();
    // Reads queued behind a hung read would hang as well.
    lane.dismiss(failure, (key) => key === this.#key(part));
    throw failure;
  }

  /** The daemon refuses O_DIRECT for this read: use the page cache for this file from now on. */
  async #pastDirect(part: Part, from: number): Promise<number> {
    this.#services.habits.refusedDirect(this.path);
    if (this.#descriptor?.direct) this.drop();
    return await this.#pread(this.#usable() ?? (await this.#open(part.wanted)), part, from);
  }

  /** Opens a descriptor for the current epoch. Parallel calls share it. */
  #open(wanted: Wanted | undefined): Promise<Descriptor> {
    this.#openers.push(wanted);
    this.#opening ??= this.#openCurrent().finally(() => {
      this.#opening = undefined;
      this.#openers.length = 0;
    });
    return this.#opening;
  }

  /** What was opened while the content changed may be the old file. */
  async #openCurrent(): Promise<Descriptor> {
    for (;;) {
      const { version } = this;
      const opened = await this.#services.open(this.path, () => isWanted(this.#openers));
      if (version !== this.version) {
        opened.doom();
        continue;
      }
      this.drop();
      this.#descriptor = opened;
      return opened;
    }
  }

  /** The content has changed. */
  forget(): void {
    this.version += 1;
    this.drop();
  }

  /** Drops the descriptor: running reads finish on it, later ones open a new one. */
  drop(): void {
    this.#descriptor?.doom();
    this.#descriptor = undefined;
  }

  /** Drops a descriptor of an earlier mount. */
  dropOlderThan(epoch: number): void {
    if (this.#descriptor && this.#descriptor.epoch !== epoch) this.drop();
  }

  /** Whether a descriptor that is older than any possible shutdown still returns bytes where it did before. */
  async isWitness(position: number): Promise<boolean> {
    const descriptor = this.#descriptor;
    if (!descriptor?.hasAnswered || descriptor.isDoomed) return false;
    if (performance.now() - descriptor.openedAt < this.#services.verdictMs) return false;
    const target = Buffer.allocUnsafe(SourceLimits.opinionBytes);
    const place = descriptor.witness ?? position;
    const permits = new ReadPermits(this.#services.quarantine, this.path, place, 1);
    const length = await this.#pread(
      descriptor,
      { target, position: place, permits, wanted: undefined },
      0,
    ).catch(() => 0);
    return (
      length > 0 && (descriptor.witness === undefined || !mayHoldHole(target.subarray(0, length), place))
    );
  }
}
