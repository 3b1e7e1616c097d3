/** One client's read for which at least some bytes are not in memory. */
import { fromErrno, TreeError, worstOf } from '../source/errors.ts';
import type { Extent, Waiter } from './extent.ts';
import type { ByteSource, Wanted } from './source.ts';

export class Reading implements Waiter {
  readonly #source: ByteSource;
  readonly #target: Buffer;
  readonly #offset: number;
  readonly #wanted: Wanted | undefined;
  /** Bytes to answer: fewer than the target holds if the file turns out to end before. */
  #length: number;
  #pending = 1;
  readonly #failures: Error[] = [];
  #settle: (() => void) | undefined;

  constructor(source: ByteSource, target: Buffer, offset: number, wanted: Wanted | undefined) {
    this.#source = source;
    this.#target = target;
    this.#offset = offset;
    this.#wanted = wanted;
    this.#length = target.length;
  }

  get isWanted(): boolean {
    return this.#wanted?.() ?? true;
  }

  wait(extent: Extent, from: number, to: number): void {
    this.#pending += 1;
    extent.wait(this, from, to);
  }

  copy(extent: Extent, from: number, to: number): void {
    extent.copy(this.#target, from - this.#offset, from, to);
  }

  filled(extent: Extent, from: number, to: number): void {
    this.copy(extent, from, to);
    this.#ended();
  }

  failed(extent: Extent, from: number, to: number, error: Error | undefined): void {
    if (error && extent.offset === from && extent.end === to) this.#failures.push(untouched(error));
    else this.directly(from, to);
    this.#ended();
  }

  /** Reads exactly the bytes from..to from the source, bypassing the cache, so that a failure concerns these bytes only. */
  directly(from: number, to: number): void {
    this.#pending += 1;
    const target = this.#target.subarray(from - this.#offset, to - this.#offset);
    this.#source.read(target, from, this.#wanted).then(
      (length) => {
        if (length < target.length) this.#length = Math.min(this.#length, from - this.#offset + length);
        this.#ended();
      },
      (error: unknown) => {
        this.#failures.push(fromErrno(error));
        this.#ended();
      },
    );
  }

  /** Settles when every part has ended. After `timeout` or `again`, a hung read may still write to the target. */
  done(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#settle = () => {
        if (this.#failures.length > 0) reject(worstOf(this.#failures));
        else resolve(this.#length);
      };
      this.#ended();
    });
  }

  #ended(): void {
    this.#pending -= 1;
    if (this.#pending === 0) this.#settle!();
  }
}

/** Turns `again` into `down`: the failed read used a chunk of the cache, so the client's buffer is free to be used again. */
function untouched(error: Error): Error {
  return error instanceof TreeError && error.code === 'again'
    ? new TreeError('down', error.message, { cause: error })
    : error;
}
