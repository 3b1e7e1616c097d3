/**
 * The cached blocks of one file. A read copies the bytes that are in memory, waits for those that another read is loading, and
 * requests the rest from the source.
 */
import type { BlockCache, Rank } from './block-cache.ts';
import { Extent, type ExtentOwner } from './extent.ts';
import { CacheLimits } from './limits.ts';
import type { AheadFile, ReadAhead } from './read-ahead.ts';
import { Reading } from './reading.ts';
import type { ByteSource, Wanted } from './source.ts';
import { Streams, type Stream } from './streams.ts';

const { block: BLOCK, piece: PIECE } = CacheLimits;

/** State that all cached files of one export share. */
export interface FileSurroundings {
  readonly blocks: BlockCache;
  readonly ahead: ReadAhead;
  readonly counts: CacheCounts;
  /** Whether the export was closed: then no loaded bytes are kept. */
  readonly isClosed: boolean;
  source(path: string): ByteSource;
}

/** Byte counters for the metrics. */
export class CacheCounts {
  /** Sent to clients. */
  served = 0;
  /** Part of `served` that was in memory at once. */
  hits = 0;
  /** Part of `served` for which a read was already running, begun for another request or by reading ahead. */
  joined = 0;
  /** Requested from the source ahead of a reader. */
  ahead = 0;
}

export class CachedFile implements ExtentOwner, AheadFile {
  readonly path: string;
  /** Bytes of the file in its known version. */
  size = 0;
  readonly #shared: FileSurroundings;
  readonly #streams = new Streams();
  /** Extents by block number (offset / block size), sorted by offset, without overlap. */
  readonly #blocks = new Map<number, Extent[]>();

  constructor(shared: FileSurroundings, path: string) {
    this.#shared = shared;
    this.path = path;
  }

  get group(): object {
    return this.#shared;
  }

  /** Whether no byte of the file is in memory or being loaded. */
  get isEmpty(): boolean {
    return this.#blocks.size === 0;
  }

  get fetchesAhead(): boolean {
    return this.#shared.source(this.path).fetchesAhead;
  }

  /** Drops all blocks, as the file has changed. Running reads still answer the requests that wait for them. */
  drop(): void {
    const all = [...this.#blocks.values()].flat();
    this.#blocks.clear();
    for (const extent of all) this.#shared.blocks.drop(extent);
    this.#streams.stop();
  }

  /** Stops reading ahead: the last client has closed the file. */
  stopReadingAhead(): void {
    this.#streams.stop();
  }

  /**
   * Reads `target.length` bytes at `offset` into `target`. The range must lie within `size`. Returns a number, without a promise,
   * if all bytes are in memory. Else it resolves with fewer bytes, or fails, as SourceFile.read does.
   */
  read(target: Buffer, offset: number, wanted?: Wanted): number | Promise<number> {
    const { counts, ahead, blocks } = this.#shared;
    if (blocks.limit === 0) return this.#readPast(target, offset, wanted);
    const end = offset + target.length;
    const now = performance.now();
    const stream = this.#streams.of(offset, end, now);
    const { inOrder } = stream;
    const advances = stream.note(offset, end, now);
    if (advances) this.#pass(stream);
    const ready = this.#copyReady(target, offset);
    counts.hits += ready;
    if (ready === target.length) {
      this.#answered(stream, offset, ready);
      return ready;
    }
    const reading = new Reading(this.#shared.source(this.path), target, offset, wanted);
    this.#fill(reading, offset + ready, end, inOrder);
    if (advances) ahead.advance(this, stream);
    return reading.done().then((length) => {
      this.#answered(stream, offset, length);
      return length;
    });
  }

  /** Reads directly from the source, as the cache is off. */
  async #readPast(target: Buffer, offset: number, wanted: Wanted | undefined): Promise<number> {
    const length = await this.#shared.source(this.path).read(target, offset, wanted);
    this.#shared.counts.served += length;
    return length;
  }

  #answered(stream: Stream, offset: number, length: number): void {
    this.#shared.counts.served += length;
    stream.credit(offset, offset + length);
    this.#shared.ahead.advance(this, stream);
  }

  /** Copies bytes from `offset` up to the first one that is not in memory. Returns their number. */
  #copyReady(target: Buffer, offset: number): number {
    let done = 0;
    while (done < target.length) {
      const extent = this.#at(offset + done);
      if (!extent?.isReady) break;
      const to = Math.min(extent.end, offset + target.length);
      extent.copy(target, done, offset + done, to);
      this.#shared.blocks.touch(extent.chunk);
      done = to - offset;
    }
    return done;
  }

  #at(position: number): Extent | undefined {
    const extents = this.#blocks.get(Math.floor(position / BLOCK));
    if (extents)
      for (const extent of extents) if (position >= extent.offset && position < extent.end) return extent;
    return undefined;
  }

  #fill(reading: Reading, from: number, end: number, inOrder: number): void {
    // Of a new place, two reads at once may come to such a daemon in the wrong order, and begin a download each.
    const isSplit = end - from <= BLOCK && Math.floor(from / BLOCK) !== Math.floor((end - 1) / BLOCK);
    if (isSplit && inOrder === 0 && this.fetchesAhead) {
      reading.directly(from, end);
      return;
    }
    const { counts, blocks } = this.#shared;
    for (let at = from; at < end;) {
      let extent = this.#at(at);
      const isKnown = extent !== undefined;
      extent ??= this.#load(at, end, inOrder);
      const to = Math.min(end, extent?.end ?? this.#gapEnd(at, end));
      if (!extent) reading.directly(at, to);
      else if (extent.isReady) {
        counts.hits += to - at;
        reading.copy(extent, at, to);
        blocks.touch(extent.chunk);
      } else {
        if (isKnown) counts.joined += to - at;
        reading.wait(extent, at, to);
      }
      at = to;
    }
  }

  /** The end of the gap at `at`: the next extent of its block, the end of the block, or `most`, whichever comes first. */
  #gapEnd(at: number, most: number): number {
    const number = Math.floor(at / BLOCK);
    const next = this.#blocks.get(number)?.find(({ offset }) => offset > at)?.offset;
    return Math.min(most, next ?? Infinity, (number + 1) * BLOCK);
  }

  /**
   * Begins to load the gap at `at`, rounded to pieces. For a sequential reader it loads as many bytes as that has read in order,
   * up to the end of the block. So a read costs the source at most one extra piece at each end, or twice the bytes read in order.
   */
  #load(at: number, end: number, inOrder: number): Extent | undefined {
    const start = Math.floor(at / BLOCK) * BLOCK;
    const before = this.#blocks.get(start / BLOCK)?.findLast((extent) => extent.end <= at)?.end;
    const from = Math.max(Math.floor(at / PIECE) * PIECE, before ?? start);
    const wish = Math.max(end, at + Math.min(BLOCK, inOrder));
    const to = this.#gapEnd(at, Math.min(this.size, Math.ceil(wish / PIECE) * PIECE));
    const isExact = from === at && to <= end;
    const extent = this.#place(from, to, undefined);
    if (extent) void (isExact ? this.#ask(extent) : this.#try(extent));
    return extent;
  }

  #place(from: number, to: number, stream: Stream | undefined): Extent | undefined {
    const place = this.#shared.blocks.place(to - from, this.#rankOf(from, to));
    if (!place) return undefined;
    const extent = new Extent(this, from, to - from, place, stream);
    const number = Math.floor(from / BLOCK);
    const extents = this.#blocks.get(number);
    if (!extents) this.#blocks.set(number, [extent]);
    else {
      const behind = extents.findIndex(({ offset }) => offset > from);
      extents.splice(behind < 0 ? extents.length : behind, 0, extent);
    }
    return extent;
  }

  #rankOf(from: number, to: number): Rank {
    return from < CacheLimits.edge || to > this.size - CacheLimits.edge ? 'edge' : 'usual';
  }

  /** Loads exactly the bytes that a client asked for, so the source's error is passed to the client. */
  async #ask(extent: Extent): Promise<void> {
    try {
      const length = await this.#shared
        .source(this.path)
        .read(extent.target, extent.offset, () => extent.isWanted);
      this.#end(extent, length === extent.length, false, undefined);
    } catch (error) {
      this.#end(extent, false, true, error as Error);
    }
  }

  /** Loads more than a client asked for, or reads ahead. After a failure, waiting requests read just their own bytes directly. */
  async #try(extent: Extent): Promise<boolean> {
    const outcome = await this.#shared.source(this.path).tryRead(extent.target, extent.offset, {
      wanted: () => extent.isWanted,
      isAwaited: () => extent.isAwaited,
      isAhead: extent.stream !== undefined,
    });
    this.#end(extent, outcome === 'whole', outcome === 'lost', undefined);
    return outcome === 'whole';
  }

  #end(extent: Extent, isGood: boolean, isLost: boolean, error: Error | undefined): void {
    const isKept = isGood && extent.owner !== undefined && !this.#shared.isClosed;
    if (!isKept) this.#remove(extent);
    // Copy the bytes to the waiting requests first: `loaded` may give the memory to another load.
    if (isGood) extent.filled();
    this.#shared.blocks.loaded(
      extent.chunk,
      isKept ? extent : undefined,
      this.#rankOf(extent.offset, extent.end),
      isLost,
    );
    if (!isGood) extent.failed(error);
  }

  #remove(extent: Extent): void {
    const number = Math.floor(extent.offset / BLOCK);
    const extents = this.#blocks.get(number);
    const index = extents?.indexOf(extent) ?? -1;
    if (index < 0) return;
    extents!.splice(index, 1);
    if (extents!.length === 0) this.#blocks.delete(number);
    extent.owner = undefined;
  }

  evicted(extent: Extent): void {
    this.#remove(extent);
  }

  // -- Sequential readers ------------------------------------------------------------------------------------------------

  loadAhead(stream: Stream, from: number, to: number): number | undefined {
    let loads = 0;
    for (let at = from; at < to;) {
      const known = this.#at(at);
      const end = known?.end ?? this.#gapEnd(at, to);
      if (!known) {
        const extent = this.#place(at, end, stream);
        if (!extent) return loads > 0 ? loads : undefined;
        loads += 1;
        this.#shared.counts.ahead += extent.length;
        void this.#try(extent).then((isGood) => this.#shared.ahead.ended(this, stream, isGood));
      }
      at = end;
    }
    return loads;
  }

  /** Marks blocks more than `mostReach` behind a sequential reader as passed, unless another reader is still behind them. */
  #pass(stream: Stream): void {
    const end = Math.min(stream.front, Math.max(stream.passed, stream.front - CacheLimits.mostReach));
    for (let at = Math.ceil(stream.passed / BLOCK) * BLOCK; at + BLOCK <= end; at += BLOCK) {
      stream.passed = at + BLOCK;
      const isFollowed = this.#streams.all.some((other) => other !== stream && other.front <= at);
      if (isFollowed || stream.inOrder === 0) continue;
      for (const extent of this.#blocks.get(at / BLOCK) ?? [])
        if (extent.isReady && extent.length === BLOCK) this.#shared.blocks.pass(extent.chunk);
    }
  }
}
