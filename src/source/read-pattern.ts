/** Tells streams, which pause and continue, from probes, which read a file only once. */
import { SourceLimits } from './limits.ts';

export class ReadPattern {
  /** End of the furthest read of the current sequence. */
  #front = 0;
  #inOrder = 0;
  /** performance.now() of the last read's begin or end, and of the last read while no client had the file open. */
  #lastAt = Number.NEGATIVE_INFINITY;
  #lastLooseAt = Number.NEGATIVE_INFINITY;

  /** Notes a read that begins. */
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

  /** Whether a client without an open (NFS) has just read. */
  get isSharedNow(): boolean {
    return performance.now() - this.#lastLooseAt < SourceLimits.idleProbe;
  }

  /** Whether the file has not been read for the idle time. @param idleMs overrides both idle times. */
  isOver(now: number, idleMs: number | undefined): boolean {
    const idle = idleMs ?? (this.isStream ? SourceLimits.idleStream : SourceLimits.idleProbe);
    return now - this.#lastAt >= idle;
  }
}
