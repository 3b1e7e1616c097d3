import { MalformedError } from './error.ts';

const TWO_32 = 0x1_0000_0000;

/**
 * Reads XDR items (RFC 4506) from a range of a buffer. Every method throws `MalformedError` at the end of the range.
 * Opaque data is a view into the buffer: copy it to keep it beyond the call.
 */
export class XdrReader {
  #buffer: Buffer;
  #view: DataView;
  #offset: number;
  #end: number;

  constructor(buffer: Buffer, start = 0, end: number = buffer.length) {
    this.#buffer = buffer;
    this.#view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
    this.#offset = start;
    this.#end = end;
  }

  /** Points the reader at another range. Makes a new DataView only for another buffer. */
  reset(buffer: Buffer, start: number, end: number): void {
    if (buffer !== this.#buffer) {
      this.#buffer = buffer;
      this.#view = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);
    }
    this.#offset = start;
    this.#end = end;
  }

  get offset(): number {
    return this.#offset;
  }

  get remaining(): number {
    return this.#end - this.#offset;
  }

  /** Unsigned integer, RFC 4506 §4.2. */
  uint32(): number {
    return this.#view.getUint32(this.#take(4));
  }

  /** Integer, RFC 4506 §4.1. */
  int32(): number {
    return this.#view.getInt32(this.#take(4));
  }

  /** Boolean, RFC 4506 §4.4: exactly 0 or 1. */
  bool(): boolean {
    const value = this.uint32();
    if (value > 1) throw new MalformedError(`boolean ${value}`);
    return value === 1;
  }

  /** Unsigned hyper integer, RFC 4506 §4.5. */
  uint64(): bigint {
    return this.#view.getBigUint64(this.#take(8));
  }

  /** Unsigned hyper integer as a number. Exact up to 2^53 - 1; a greater value is inexact but stays above 2^53 - 1. */
  uint64Number(): number {
    const at = this.#take(8);
    return this.#view.getUint32(at) * TWO_32 + this.#view.getUint32(at + 4);
  }

  /** Fixed-length opaque data, RFC 4506 §4.9. */
  fixedOpaque(length: number): Buffer {
    const at = this.#take(length + padding(length));
    return this.#buffer.subarray(at, at + length);
  }

  /** Variable-length opaque data, RFC 4506 §4.10, of at most `maximum` bytes. */
  opaque(maximum: number): Buffer {
    return this.fixedOpaque(this.#length(maximum));
  }

  /** String, RFC 4506 §4.11, one character for each byte. */
  byteString(maximum: number): string {
    const length = this.#length(maximum);
    const at = this.#take(length + padding(length));
    return this.#buffer.toString('latin1', at, at + length);
  }

  skip(length: number): void {
    this.#take(length);
  }

  #length(maximum: number): number {
    const length = this.uint32();
    if (length > maximum) throw new MalformedError(`length ${length} above ${maximum}`);
    return length;
  }

  #take(length: number): number {
    const at = this.#offset;
    if (length > this.#end - at) throw new MalformedError(`${length} bytes wanted, ${this.#end - at} left`);
    this.#offset = at + length;
    return at;
  }
}

/** Bytes that pad an item to a multiple of four, RFC 4506 §3. */
export function padding(length: number): number {
  return -length & 3;
}
