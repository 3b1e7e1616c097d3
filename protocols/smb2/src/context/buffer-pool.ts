/** Buffers for READ and QUERY_DIRECTORY replies, in sizes of powers of two. Keeps free buffers up to a limit. */
import { BODY } from './reply.ts';

const SMALLEST = 16;

export class BufferPool {
  readonly #free: Buffer[][] = [];
  readonly #most: number;
  #kept = 0;

  constructor(mostBytes: number) {
    this.#most = mostBytes;
  }

  /** Returns a buffer with `BODY` bytes for headers and at least `payload` bytes. Its content is undefined. */
  take(payload: number): Buffer {
    const order = Math.max(SMALLEST, Math.ceil(Math.log2(Math.max(1, payload))));
    const buffer = this.#free[order]?.pop();
    if (!buffer) return Buffer.allocUnsafeSlow(2 ** order + BODY + 64);
    this.#kept -= buffer.length;
    return buffer;
  }

  give(buffer: Buffer): void {
    const order = Math.log2(buffer.length - BODY - 64);
    if (this.#kept + buffer.length > this.#most) return;
    this.#kept += buffer.length;
    (this.#free[order] ??= []).push(buffer);
  }
}
