import { MalformedError } from '../xdr/error.ts';

/** A complete record: a range of a buffer that is never written to again. */
export interface Record {
  readonly buffer: Buffer;
  readonly start: number;
  readonly end: number;
}

const SMALLEST_ASSEMBLY = 4096;

/**
 * The receiving side of record marking (RFC 5531 §11). The owner pushes bytes as they arrive and pulls one record at a
 * time, so that it can stop in the middle of a chunk. A record that lies within one chunk is returned without a copy.
 */
export class RecordReader {
  readonly #maxRecord: number;
  readonly #maxFragments: number;
  #chunk: Buffer | undefined;
  #at = 0;

  /** The record mark being read: bytes read so far, and their value. */
  #markBytes = 0;
  #mark = 0;
  /** Bytes of the current fragment that have not arrived yet. */
  #missing = 0;
  #last = false;
  #fragments = 0;
  /** The record so far. It grows with what has arrived, not with the length in a mark. */
  #assembly: Buffer | undefined;
  #filled = 0;

  constructor(maxRecord: number, maxFragments: number) {
    this.#maxRecord = maxRecord;
    this.#maxFragments = maxFragments;
  }

  /** Adds received bytes after those that have not been read yet. */
  push(chunk: Buffer): void {
    this.#chunk = this.hasInput ? Buffer.concat([this.#chunk!.subarray(this.#at), chunk]) : chunk;
    this.#at = 0;
  }

  /** Whether pushed bytes are left to read. */
  get hasInput(): boolean {
    return this.#chunk !== undefined && this.#at < this.#chunk.length;
  }

  /** Whether a record has begun but not ended. */
  get partial(): boolean {
    return this.#markBytes > 0 || this.#fragments > 0;
  }

  /** @throws MalformedError when a record is too long or has too many fragments. The stream cannot be used after that. */
  next(): Record | undefined {
    const chunk = this.#chunk;
    if (chunk === undefined) return undefined;
    while (this.#at < chunk.length) {
      if (this.#missing === 0) {
        if (!this.#readMark(chunk)) break;
        const whole = this.#takeInPlace(chunk);
        if (whole !== undefined) return whole;
      }
      this.#copy(chunk);
      if (this.#missing === 0 && this.#last) return this.#finish();
    }
    this.#chunk = undefined;
    return undefined;
  }

  /** Reads the mark of the next fragment. Returns false when the chunk ends inside it. */
  #readMark(chunk: Buffer): boolean {
    if (this.#markBytes === 0 && chunk.length - this.#at >= 4) {
      this.#mark = chunk.readUInt32BE(this.#at);
      this.#at += 4;
    } else {
      while (this.#markBytes < 4) {
        if (this.#at === chunk.length) return false;
        this.#mark = ((this.#mark << 8) | chunk[this.#at++]!) >>> 0;
        this.#markBytes++;
      }
      this.#markBytes = 0;
    }
    this.#last = this.#mark >= 0x8000_0000;
    this.#missing = this.#mark & 0x7fff_ffff;
    this.#mark = 0;
    if (++this.#fragments > this.#maxFragments)
      throw new MalformedError(`record of ${this.#fragments} fragments`);
    const size = this.#filled + this.#missing;
    if (size > this.#maxRecord) throw new MalformedError(`record of ${size} bytes`);
    return true;
  }

  #takeInPlace(chunk: Buffer): Record | undefined {
    if (!this.#last || this.#filled > 0 || chunk.length - this.#at < this.#missing) return undefined;
    const start = this.#at;
    const end = start + this.#missing;
    this.#at = end;
    this.#missing = 0;
    this.#fragments = 0;
    return { buffer: chunk, start, end };
  }

  #copy(chunk: Buffer): void {
    const length = Math.min(this.#missing, chunk.length - this.#at);
    const needed = this.#filled + length;
    let assembly = this.#assembly;
    if (assembly === undefined || assembly.length < needed) {
      const announced = this.#filled + this.#missing;
      const size = Math.max(needed, Math.min(announced, Math.max(SMALLEST_ASSEMBLY, this.#filled * 2)));
      const larger = Buffer.allocUnsafeSlow(size);
      assembly?.copy(larger, 0, 0, this.#filled);
      this.#assembly = assembly = larger;
    }
    chunk.copy(assembly, this.#filled, this.#at, this.#at + length);
    this.#filled = needed;
    this.#at += length;
    this.#missing -= length;
  }

  #finish(): Record {
    const buffer = this.#assembly!;
    const end = this.#filled;
    this.#assembly = undefined;
    this.#filled = 0;
    this.#fragments = 0;
    return { buffer, start: 0, end };
  }
}

/** The sending side of record marking: one record in fragments of at most `fragment` bytes. */
export function markRecord(record: Buffer, fragment = 0x7fff_ffff): Buffer {
  const parts: Buffer[] = [];
  let at = 0;
  do {
    const part = record.subarray(at, Math.min(at + fragment, record.length));
    at += part.length;
    const mark = Buffer.alloc(4);
    mark.writeUInt32BE(((at === record.length ? 0x8000_0000 : 0) | part.length) >>> 0);
    parts.push(mark, part);
  } while (at < record.length);
  return Buffer.concat(parts);
}
