/**
 * Reads ahead of sequential readers, for one export. It loads whole blocks in order of offset, only within the reader's window.
 * The window moves with the reader, so reading ahead stops when the reader stops. The loads of all readers share one limit, and
 * the source does not prefer them to clients' own reads (SourceFile.tryRead).
 *
 * Failures are silent: the reader requests the bytes itself when it gets there, and that read decides about errors. A failure
 * also resets the window, so that a source in trouble gets few requests beyond those of its readers.
 */
import { carefulReadAhead, CacheLimits, usualReadAhead, type ReadAheadSettings } from './limits.ts';
import type { Stream } from './streams.ts';

/** A file that can be read ahead. */
export interface AheadFile {
  readonly size: number;
  readonly fetchesAhead: boolean;
  /**
   * Begins to load the missing bytes of from..to, a range within one block. Returns the number of loads begun; undefined if the
   * cache has no room.
   */
  loadAhead(stream: Stream, from: number, to: number): number | undefined;
}

export class ReadAhead {
  readonly #settings: ReadAheadSettings | undefined;
  readonly #budget: () => number;
  readonly #active = new Map<Stream, AheadFile>();
  /** Readers that wait for a free load, first come first served. */
  readonly #waiting = new Set<Stream>();
  #running = 0;

  /**
   * @param settings overrides the defaults, which depend on the source.
   * @param budget returns the size of the whole cache in bytes.
   */
  constructor(settings: ReadAheadSettings | undefined, budget: () => number) {
    this.#settings = settings;
    this.#budget = budget;
  }

  /** Number of running loads. */
  get running(): number {
    return this.#running;
  }

  /** Call when a reader advances or gets an answer: grows its window if due, and begins loads. */
  advance(file: AheadFile, stream: Stream): void {
    const least = this.#settings ?? usualReadAhead;
    if (least.max === 0 || stream.inOrder <= least.start || stream.front >= file.size) return;
    stream.fetchesAhead ??= file.fetchesAhead;
    const { max, start } = this.#settingsFor(stream);
    if (stream.inOrder <= start) return;
    if (stream.window === 0) {
      stream.window = Math.min(max, CacheLimits.firstWindow);
      stream.grownAt = stream.asked = stream.front;
    } else if (stream.front - stream.grownAt >= stream.window / 2) {
      stream.window = Math.min(max, stream.window * 2);
      stream.grownAt = stream.front;
    }
    this.#active.set(stream, file);
    this.#ask(file, stream);
  }

  /** Call when a load ends: continues its reader, then the waiting ones. */
  ended(file: AheadFile, stream: Stream, isGood: boolean): void {
    this.#running -= 1;
    stream.running -= 1;
    if (!isGood) stream.window = 0;
    if (this.#active.has(stream)) this.#ask(file, stream);
    for (const other of this.#waiting) {
      if (this.#running >= CacheLimits.loadsAhead) return;
      this.#waiting.delete(other);
      const itsFile = this.#active.get(other);
      if (itsFile) this.#ask(itsFile, other);
    }
  }

  #settingsFor(stream: Stream): ReadAheadSettings {
    return this.#settings ?? (stream.fetchesAhead ? carefulReadAhead : usualReadAhead);
  }

  #ask(file: AheadFile, stream: Stream): void {
    const readers = this.#readers();
    const room = (this.#budget() * CacheLimits.aheadShare) / readers;
    // A daemon that fetches ahead stands at its last answer, so measure from there. Elsewhere measure from the last request, but
    // at most mostReach beyond the last answer.
    const reach = stream.fetchesAhead ? 0 : CacheLimits.mostReach;
    const base = Math.min(stream.front, stream.answered + reach);
    const end = Math.min(file.size, base + Math.min(stream.window, room));
    const most = Math.min(CacheLimits.loadsPerStream, Math.ceil(CacheLimits.loadsAhead / readers));
    stream.asked = Math.max(stream.asked, stream.front);
    while (stream.asked < end) {
      if (stream.running >= most) return;
      if (this.#running >= CacheLimits.loadsAhead) {
        this.#waiting.add(stream);
        return;
      }
      const { block } = CacheLimits;
      const to = Math.min(file.size, (Math.floor(stream.asked / block) + 1) * block);
      // Load no block that ends beyond the window: a daemon may begin another download for it (carefulReadAhead).
      if (to > end) return;
      const loads = file.loadAhead(stream, stream.asked, to);
      if (loads === undefined) return;
      stream.asked = to;
      stream.running += loads;
      this.#running += loads;
    }
  }

  /** Number of active readers, at least 1. Forgets those that have stopped. */
  #readers(): number {
    const since = performance.now() - CacheLimits.streamActive;
    for (const stream of this.#active.keys())
      if (stream.lastAt < since || !stream.isReadAhead) this.#active.delete(stream);
    return Math.max(1, this.#active.size);
  }
}
