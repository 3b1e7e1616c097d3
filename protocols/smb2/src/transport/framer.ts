/** Direct TCP framing: one zero byte, 24 bits of length, the message ([MS-SMB2] 2.1). */
import { MalformedError } from '../wire/malformed.ts';

const HEADER = 4;
/** Memory for a message grows with the bytes that arrive: first to this size, then doubling. */
const FIRST = 64 * 1024;

export class Framer {
  readonly #deliver: (message: Buffer) => void;
  readonly #limit: (length: number) => number;
  readonly #header = Buffer.alloc(HEADER);
  #headerHave = 0;
  #message: Buffer | undefined;
  #messageHave = 0;
  #messageLength = 0;
  /** Frames completed so far. */
  frames = 0;

  /** @param limit the longest message to accept now, or any smaller limit that `length` does not exceed. */
  constructor(deliver: (message: Buffer) => void, limit: (length: number) => number) {
    this.#deliver = deliver;
    this.#limit = limit;
  }

  /** Missing bytes of an incomplete frame; 0 between frames. */
  get missing(): number {
    return this.#message ? this.#messageLength - this.#messageHave : this.#headerHave === 0 ? 0 : HEADER;
  }

  /** @throws MalformedError for an invalid or too long frame. Delivered messages may share memory with the chunk. */
  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#message) {
        at += this.#fill(this.#message, chunk, at);
        continue;
      }
      const whole = this.#headerHave === 0 && chunk.length - at >= HEADER;
      if (whole) {
        const length = this.#lengthOf(chunk, at);
        at += HEADER;
        if (chunk.length - at >= length) {
          this.frames += 1;
          if (length > 0) this.#deliver(chunk.subarray(at, at + length));
          at += length;
        } else this.#begin(length);
        continue;
      }
      this.#header[this.#headerHave++] = chunk[at++]!;
      if (this.#headerHave === HEADER) {
        this.#headerHave = 0;
        const length = this.#lengthOf(this.#header, 0);
        if (length > 0) this.#begin(length);
        else this.frames += 1;
      }
    }
  }

  #begin(length: number): void {
    this.#messageLength = length;
    this.#messageHave = 0;
    this.#message = Buffer.allocUnsafe(Math.min(length, FIRST));
  }

  #lengthOf(buffer: Buffer, at: number): number {
    const word = buffer.readUInt32BE(at);
    // A NetBIOS keep-alive (RFC 1002 4.3.5) has no content.
    if (word === 0x85000000) return 0;
    if (word > 0xffffff) throw new MalformedError('not a direct TCP frame');
    const most = this.#limit(word);
    if (word > most) throw new MalformedError(`frame of ${word} bytes, at most ${most} allowed`);
    return word;
  }

  #fill(message: Buffer, chunk: Buffer, at: number): number {
    const have = this.#messageHave;
    if (have === message.length) {
      this.#message = Buffer.allocUnsafe(Math.min(this.#messageLength, 2 * have));
      message.copy(this.#message, 0, 0, have);
      return 0;
    }
    const taken = chunk.copy(message, have, at);
    this.#messageHave += taken;
    if (this.#messageHave === this.#messageLength) {
      this.#message = undefined;
      this.frames += 1;
      this.#deliver(message);
    }
    return taken;
  }
}
