/**
 * Detects sequential readers of a file. A file may have several readers, and kernel clients send the reads of each out of order.
 * So a read belongs to the reader whose front is nearest. A reader is sequential when it has read most of the bytes behind its
 * front; a random reader never has.
 */
import { CacheLimits } from './limits.ts';

const never = Number.NEGATIVE_INFINITY;

/** One reader of a file. The objects are reused, so that random reads make no garbage. */
export class Stream {
  /** Offset of its first byte. */
  begin = 0;
  /** End of the furthest read. */
  front = 0;
  /** End of the furthest read that was answered. */
  answered = 0;
  #bytes = 0;
  /** performance.now() of the last read. */
  lastAt = never;

  // -- For reading ahead ---------------------------------------------------------------------------------------------

  /** Size of the read-ahead window in bytes; 0 while nothing is read ahead. */
  window = 0;
  /** The front at the time when the window last grew. */
  grownAt = 0;
  /** End of the blocks requested ahead. */
  asked = 0;
  /** Number of running loads. */
  running = 0;
  /** End of the blocks that were marked as passed. */
  passed = 0;
  /** Whether the source's daemon fetches ahead itself; undefined if not known yet. */
  fetchesAhead: boolean | undefined;

  reset(offset: number): void {
    this.begin = this.front = this.answered = this.asked = this.passed = offset;
    this.#bytes = 0;
    this.window = 0;
    this.grownAt = 0;
    this.fetchesAhead = undefined;
  }

  /** Notes the start of a read. True if it moves the front. */
  note(offset: number, end: number, now: number): boolean {
    this.lastAt = now;
    if (offset < this.begin) this.begin = offset;
    if (end <= this.front) return false;
    this.front = end;
    return true;
  }

  /** Notes an answered read. Only answered reads make a stream: a hung file may have many reads waiting. */
  credit(offset: number, end: number): void {
    if (end > this.answered) this.answered = end;
    this.#bytes = Math.min(this.answered - this.begin, this.#bytes + end - offset);
  }

  /** Bytes read in order; 0 for a random reader. */
  get inOrder(): number {
    return this.#bytes >= CacheLimits.density * (this.answered - this.begin) ? this.#bytes : 0;
  }

  get isReadAhead(): boolean {
    return this.window > 0;
  }

  /** Distance of a read from the front; Infinity if it is too far to belong to this reader. */
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

  /** The reader to which a read belongs: the nearest one, or a new one. */
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
    // Loads of the replaced reader still run and will update its counters: leave that object to them.
    else if (stream!.running > 0) {
      stream!.window = 0;
      this.#all[oldest] = stream = new Stream();
    }
    stream!.reset(offset);
    return stream!;
  }

  /** Forgets all readers, and so stops reading ahead. */
  stop(): void {
    for (const stream of this.#all) stream.window = 0;
    this.#all.length = 0;
  }
}
