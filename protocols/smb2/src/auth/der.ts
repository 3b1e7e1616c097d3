/**
 * The part of DER (X.690) that SPNEGO needs. No recursion: a reader reads one level, and a parser opens only the levels
 * that its structure has.
 */
import { malformed } from './errors.ts';

export interface DerValue {
  readonly tag: number;
  readonly content: Buffer;
  /** Tag, length and content. */
  readonly encoded: Buffer;
}

/** Reads the values of one level, one after the other. */
export class DerReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** Returns the next value. Accepts single-byte tags and definite lengths of at most 4 bytes. */
  next(): DerValue {
    const start = this.#at;
    const tag = this.#byte();
    if ((tag & 0x1f) === 0x1f) throw malformed('DER tag of several bytes');
    let length = this.#byte();
    if (length >= 0x80) {
      const count = length & 0x7f;
      if (count === 0 || count > 4) throw malformed('DER length is indefinite or too large');
      length = 0;
      for (let i = 0; i < count; i++) length = length * 256 + this.#byte();
    }
    if (length > this.#bytes.length - this.#at) throw malformed('DER value reaches past its container');
    const content = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return { tag, content, encoded: this.#bytes.subarray(start, this.#at) };
  }

  /** Returns the content of the next value, which must have this tag. */
  expect(tag: number): Buffer {
    const value = this.next();
    if (value.tag !== tag)
      throw malformed(`DER tag 0x${value.tag.toString(16)} instead of 0x${tag.toString(16)}`);
    return value.content;
  }

  #byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw malformed('DER value is truncated');
    return byte;
  }
}

/** Returns the content of the only value in `bytes`, which must have this tag. */
export function derContent(bytes: Buffer, tag: number): Buffer {
  const reader = new DerReader(bytes);
  const content = reader.expect(tag);
  if (!reader.atEnd) throw malformed('DER value is followed by something else');
  return content;
}

/** Encodes one value: tag, minimal length and content. */
export function encodeDer(tag: number, ...content: readonly Uint8Array[]): Buffer {
  const length = content.reduce((sum, part) => sum + part.length, 0);
  const head = [tag];
  if (length < 0x80) head.push(length);
  else if (length < 0x100) head.push(0x81, length);
  else if (length < 0x10000) head.push(0x82, length >> 8, length & 0xff);
  else throw new RangeError('DER values of 64 KiB and more are not written here');
  return Buffer.concat([Buffer.from(head), ...content]);
}
