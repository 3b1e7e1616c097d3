/**
 * Who reads a file in order. One file may have several readers, and a kernel client sends the reads of each out of order; so a read
 * belongs to the reader whose front is nearest, and one is in order when it has read most of what lies behind its front. Whoever
 * jumps about never has.
 */
import { CacheLimits } from './limits.ts';

const never = Number.NEGATIVE_INFINITY;

/** One reader. The objects are used again, so that one who jumps about leaves no garbage. */
export class Stream {
  begin = 0;
  /** End of the furthest read. */
  front = 0;
  /** End of the furthest read that was answered. */
  answered = 0;
  #bytes = 0;
  /** performance.now() of the last read. */
  lastAt = never;

  // -- Of reading ahead ----------------------------------------------------------------------------------------------

  /** Bytes to be ahead of the reader; 0 while nothing is read ahead. */
  window = 0;
  /** The front when the window grew last. */
  grownAt = 0;
  /** End of what was asked for. */
  asked = 0;
  /** Loads that run. */
  running = 0;
  /** Blocks below this were passed. */
  passed = 0;
  /** Whether the source's daemon fetches ahead itself; undefined until that was asked. */
  fetchesAhead: boolean | undefined;

  reset(offset: number): void {
    this.begin = this.front = this.answered = this.asked = this.passed = offset;
    this.#bytes = 0;
    this.window = 0;
    this.grownAt = 0;
    this.fetchesAhead = undefined;
  }

  /** A read begins. True when the reader has come further by it. */
  note(offset: number, end: number, now: number): boolean {
    this.lastAt = now;
    if (offset < this.begin) this.begin = offset;
    if (end <= this.front) return false;
    this.front = end;
    return true;
  }

  /** A read was answered. Only that makes a stream: of a file that hangs any number of reads may be waiting. */
  credit(offset: number, end: number): void {
    if (end > this.answered) this.answered = end;
    this.#bytes = Math.min(this.answered - this.begin, this.#bytes + end - offset);
  }

  /** Bytes read in order; 0 for a reader who jumps about. */
  get inOrder(): number {
    return this.#bytes >= CacheLimits.density * (this.answered - this.begin) ? this.#bytes : 0;
  }

  get isReadAhead(): boolean {
    return this.window > 0;
  }

  /** How far a read may be from the front and be this reader's. */
  isNear(offset: number, end: number): number {
    const reach = Math.min(
      CacheLimits.mostReach,
      Math.max(CacheLimits.leastReach, CacheLimits.reachReads * (end - offset)),
    );
    const distance = Math.abs(offset - this.front);
    return distance <= reach || Math.abs(end - this.front) <= reach ? distance : Infinity;
  }
}

export class Streams {
  readonly #all: Stream[] = [];

  get all(): readonly Stream[] {
    return this.#all;
  }

  /** The reader of these bytes: one who is near, or a new one. */
  of(offset: number, end: number, now: number): Stream {
    let nearest: Stream | undefined;
    let least = Infinity;
    for (const stream of this.#all) {
      if (now - stream.lastAt > CacheLimits.streamAge) continue;
      const distance = stream.isNear(offset, end);
      if (distance >= least) continue;
      least = distance;
      nearest = stream;
    }
    return nearest ?? this.#another(offset);
  }

  #another(offset: number): Stream {
    let oldest: number = 0;
    for (const [index, { lastAt }] of this.#all.entries())
      if (lastAt < this.#all[oldest]!.lastAt) oldest = index;
    let stream = this.#all[oldest];
    if (this.#all.length < CacheLimits.streams) this.#all.push((stream = new Stream()));
    // Loads that still run count for the old one.
    else if (stream!.running > 0) {
      stream!.window = 0;
      this.#all[oldest] = stream = new Stream();
    }
    stream!.reset(offset);
    return stream!;
  }

  /** Nobody reads on: what was not asked for yet is not. */
  stop(): void {
    for (const stream of this.#all) stream.window = 0;
    this.#all.length = 0;
  }
}
