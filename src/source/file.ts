/** The content of one path, whatever descriptors stand behind it now. */
import { read } from 'node:fs';
import { TreeError, fromErrno } from './errors.ts';
import type { Descriptor, FilePool, ReadMode } from './files.ts';
import { SourceLimits } from './limits.ts';

interface WantedRead {
  readonly target: Buffer;
  readonly position: number;
  readonly resolve: (length: number) => void;
  readonly reject: (error: unknown) => void;
}

/** A read that holds one of the file's places until the kernel lets go of it, or its descriptor is given up. */
interface Flight {
  readonly since: number;
  descriptor: Descriptor | undefined;
  holdsPlace: boolean;
}

export class SourceFile {
  readonly path: string;
  lastUsed = 0;
  readonly #pool: FilePool;
  readonly #descriptors = new Map<ReadMode, Descriptor>();
  readonly #opening = new Map<ReadMode, Promise<Descriptor>>();
  readonly #flights = new Set<Flight>();
  #places = 0;
  #waiting: WantedRead[] = [];
  /** Whether the last read came back quickly: until one has, and while one does not, buffered reads are a risk. */
  #prompt = false;

  constructor(pool: FilePool, path: string) {
    this.#pool = pool;
    this.path = path;
  }

  /** Nobody waits for anything, and nothing runs. */
  get idle(): boolean {
    return this.#flights.size === 0 && this.#waiting.length === 0;
  }

  /**
   * Puts up to `target.length` bytes at `position` into `target`; 0 at or past the end. After a rejection other than
   * `down` the target may still be written to: never use it again.
   */
  read(target: Buffer, position: number): Promise<number> {
    const once = () => this.#readOnce(target, position);
    return this.#pool.watch.settled(once(), once);
  }

  #readOnce(target: Buffer, position: number): Promise<number> {
    return new Promise<number>((resolve, reject) => {
      this.#pool.quarantine.admit('content', this.path);
      if (this.#waiting.length >= SourceLimits.queuePerFile) {
        throw new TreeError('busy', 'too many reads wait for this file');
      }
      this.#waiting.push({ target, position, resolve, reject });
      this.#pump();
    });
  }

  #pump(): void {
    while (this.#places < SourceLimits.readsPerFile) {
      const wanted = this.#waiting.shift();
      if (!wanted) return;
      this.#begin(wanted);
    }
  }

  #begin(wanted: WantedRead): void {
    const mode = this.#pool.modeFor(this.#isPrompt());
    const flight: Flight = { since: performance.now(), descriptor: undefined, holdsPlace: true };
    this.#flights.add(flight);
    this.#places += 1;
    const held = this.#descriptors.get(mode);
    if (held && held.epoch === this.#pool.watch.epoch && this.#pool.watch.state === 'live') {
      this.#submit(flight, held, wanted);
      return;
    }
    this.#current(mode).then(
      (opened) => this.#submit(flight, opened, wanted),
      (error: unknown) => {
        this.#land(flight);
        wanted.reject(error);
      },
    );
  }

  #isPrompt(): boolean {
    if (!this.#prompt) return false;
    for (const { since } of this.#flights) return performance.now() - since < SourceLimits.slowRead;
    return true;
  }

  #submit(flight: Flight, descriptor: Descriptor, { target, position, resolve, reject }: WantedRead): void {
    flight.descriptor = descriptor;
    descriptor.inFlight += 1;
    const parts = descriptor.mode === 'direct' ? Math.ceil(target.length / SourceLimits.directPart) : 1;
    let left = Math.max(1, parts);
    const letGo = () => {
      left -= 1;
      if (left > 0) return;
      descriptor.inFlight -= 1;
      this.#land(flight);
      this.#pool.closeIfDone(descriptor);
    };
    const done =
      parts > 1
        ? this.#readParts(descriptor, target, position, letGo)
        : this.#readPart(descriptor, target, position, letGo);
    done.then(
      (length) => {
        this.#prompt = performance.now() - flight.since < SourceLimits.slowRead;
        this.#pool.quarantine.answered('content', this.path);
        resolve(length);
      },
      (error: unknown) => this.#failed(descriptor, fromErrno(error)).then(reject, reject),
    );
  }

  /** One pread; `letGo` is called once, when the kernel has, be it long after the deadline. */
  #readPart(descriptor: Descriptor, target: Buffer, position: number, letGo: () => void): Promise<number> {
    let begun = false;
    const call = this.#pool.readLane((done) => {
      begun = true;
      const ended = descriptor.mode === 'buffered' ? this.#pool.noteBuffered() : undefined;
      read(descriptor.fd, target, 0, target.length, position, (error, length) => {
        ended?.();
        letGo();
        done(error, length);
      });
    });
    return call.catch((error: unknown) => {
      // Turned away, or out of time, before it had its turn.
      if (!begun) letGo();
      throw error;
    });
  }

  /** A direct read is one FUSE request after the other: asked for in parts, they run beside each other. */
  async #readParts(
    descriptor: Descriptor,
    target: Buffer,
    position: number,
    letGo: () => void,
  ): Promise<number> {
    const size = SourceLimits.directPart;
    const parts: Promise<number>[] = [];
    for (let at = 0; at < target.length; at += size) {
      const part = target.subarray(at, Math.min(at + size, target.length));
      parts.push(this.#readPart(descriptor, part, position + at, letGo));
    }
    let length = 0;
    for (const [i, got] of (await Promise.all(parts)).entries()) {
      length += got;
      if (got < Math.min(size, target.length - i * size)) break;
    }
    return length;
  }

  /** What the failure means: of this file, of the mount it was opened on, or of the whole source. */
  async #failed(descriptor: Descriptor, failure: TreeError): Promise<TreeError> {
    // A descriptor of a mount that is gone never comes back; the next read opens a new one.
    if (failure.code === 'down') this.#giveUp(descriptor);
    if (failure.code !== 'timeout') {
      if (failure.code !== 'down') this.#pool.quarantine.answered('content', this.path);
      return failure;
    }
    if (await this.#pool.watch.answers(descriptor.epoch)) {
      this.#pool.quarantine.missed('content', this.path);
      this.#turnAway(failure);
      return failure;
    }
    this.#pool.quarantine.postponed('content', this.path);
    return new TreeError('again', failure.message, { cause: failure });
  }

  #land(flight: Flight): void {
    this.#flights.delete(flight);
    this.#leavePlace(flight);
    this.#pump();
  }

  #leavePlace(flight: Flight): void {
    if (!flight.holdsPlace) return;
    flight.holdsPlace = false;
    this.#places -= 1;
  }

  /** Those behind a read that hangs would hang as well. */
  #turnAway(failure: TreeError): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { reject } of waiting) reject(failure);
  }

  /** The descriptor for the present epoch, opened when there is none. */
  #current(mode: ReadMode): Promise<Descriptor> {
    let opening = this.#opening.get(mode);
    if (!opening) {
      opening = this.#pool
        .open(this.path, mode)
        .then((opened) => {
          this.drop(mode);
          this.#descriptors.set(mode, opened);
          return opened;
        })
        .finally(() => this.#opening.delete(mode));
      this.#opening.set(mode, opening);
    }
    return opening;
  }

  #giveUp(descriptor: Descriptor): void {
    if (this.#descriptors.get(descriptor.mode) === descriptor) this.drop(descriptor.mode);
  }

  /** Lets go of the descriptors; reads in flight end on them, later ones open anew. */
  drop(mode?: ReadMode): void {
    for (const [held, descriptor] of this.#descriptors) {
      if (mode !== undefined && held !== mode) continue;
      this.#descriptors.delete(held);
      descriptor.doomed = true;
      for (const flight of this.#flights) if (flight.descriptor === descriptor) this.#leavePlace(flight);
      this.#pool.closeIfDone(descriptor);
    }
    this.#pump();
  }

  /** Descriptors of an older mount are closed as soon as that is known. */
  dropOlderThan(epoch: number): void {
    for (const [mode, descriptor] of this.#descriptors) if (descriptor.epoch !== epoch) this.drop(mode);
  }
}
