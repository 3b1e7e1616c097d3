/** One client's read that could not be answered from memory alone. */
import { fromErrno, TreeError } from '../source/errors.ts';
import type { Extent, Waiter } from './extent.ts';
import type { ByteSource, Wanted } from './source.ts';

export class Reading implements Waiter {
  readonly #source: ByteSource;
  readonly #target: Buffer;
  readonly #offset: number;
  readonly #wanted: Wanted | undefined;
  /** Bytes from the beginning that the file has, as far as is known. */
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

  /** Past the cache: what is read is exactly what is needed, and its verdict is that of these bytes. */
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

  /** Settles when nothing may write into the target any more, but for reads that the error tells of. */
  done(): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#settle = () => {
        if (this.#failures.length > 0) reject(worst(this.#failures));
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

/** The read that failed had another buffer: this one may be used again. */
function untouched(error: Error): Error {
  return error instanceof TreeError && error.code === 'again'
    ? new TreeError('down', error.message, { cause: error })
    : error;
}

/** If one of the reads still owns the target, that is what the caller has to hear. */
function worst(failures: readonly Error[]): Error {
  const has = (code: string) => failures.find((one) => one instanceof TreeError && one.code === code);
  return has('timeout') ?? has('again') ?? failures[0]!;
}
