/**
 * Reading ahead of those who read in order, for one export. It asks block by block, in order of offset, and only as far as a reader's
 * window reaches; as that moves with the reader, it stops by itself when the reader does. Loads of all readers share a bound, and
 * the source runs them beside the clients' own reads and not before them (SourceFile.tryRead).
 *
 * Failures are silent: what could not be had ahead is asked for when the reader comes, and judged then. The reader's window begins
 * anew, so that a source in trouble is not asked for more than its readers need.
 */
import { carefulReadAhead, CacheLimits, usualReadAhead, type ReadAheadSettings } from './limits.ts';
import type { Stream } from './streams.ts';

/** A file that can be read ahead. */
export interface AheadFile {
  readonly size: number;
  readonly fetchesAhead: boolean;
  /** Begins to load what is missing in from..to, which lies in one block. Returns how many loads that takes; undefined: there is no room. */
  loadAhead(stream: Stream, from: number, to: number): number | undefined;
}

export class ReadAhead {
  readonly #settings: ReadAheadSettings | undefined;
  readonly #budget: () => number;
  readonly #active = new Map<Stream, AheadFile>();
  /** Those that were stopped by the bound, in the order in which they go on. */
  readonly #waiting = new Set<Stream>();
  #running = 0;

  /**
   * @param settings in place of what suits the source.
   * @param budget bytes of the whole cache.
   */
  constructor(settings: ReadAheadSettings | undefined, budget: () => number) {
    this.#settings = settings;
    this.#budget = budget;
  }

  /** Loads that run now. */
  get running(): number {
    return this.#running;
  }

  /** A reader has come further, or was answered. */
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

  /** A load has ended. */
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
    // A daemon that fetches ahead is where it answered last; elsewhere what was asked for is as good, as far as it comes soon.
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
      // No block that reaches beyond the window: how far it may reach is a promise.
      if (to > end) return;
      const loads = file.loadAhead(stream, stream.asked, to);
      if (loads === undefined) return;
      stream.asked = to;
      stream.running += loads;
      this.#running += loads;
    }
  }

  /** How many share the bounds. */
  #readers(): number {
    const since = performance.now() - CacheLimits.streamActive;
    for (const stream of this.#active.keys())
      if (stream.lastAt < since || !stream.isReadAhead) this.#active.delete(stream);
    return Math.max(1, this.#active.size);
  }
}
