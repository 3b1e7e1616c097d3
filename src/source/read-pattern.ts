/** How a file is being read: a stream pauses and goes on, a probe does not come back. */
import { SourceLimits } from './limits.ts';

export class ReadPattern {
  /** End of the furthest read of the present run. */
  #front = 0;
  #inOrder = 0;
  /** performance.now() at the end of the last read, and of the last one by somebody who does not hold the file. */
  #lastAt = Number.NEGATIVE_INFINITY;
  #lastLooseAt = Number.NEGATIVE_INFINITY;

  /** A read begins. */
  note(position: number, length: number, now: number, held: boolean): void {
    if (Math.abs(position - this.#front) > SourceLimits.streamWindow) {
      this.#inOrder = 0;
      this.#front = position;
    }
    this.#inOrder += length;
    this.#front = Math.max(this.#front, position + length);
    this.#lastAt = now;
    if (!held) this.#lastLooseAt = now;
  }

  ended(now: number): void {
    this.#lastAt = now;
  }

  get isStream(): boolean {
    return this.#inOrder >= SourceLimits.streamBytes;
  }

  /** Whether somebody without an open of his own (NFS has none) has just read. */
  get isSharedNow(): boolean {
    return performance.now() - this.#lastLooseAt < SourceLimits.idleProbe;
  }

  /** Whether nobody has read for long enough. @param idleMs in place of both limits. */
  isOver(now: number, idleMs: number | undefined): boolean {
    const idle = idleMs ?? (this.isStream ? SourceLimits.idleStream : SourceLimits.idleProbe);
    return now - this.#lastAt >= idle;
  }
}
