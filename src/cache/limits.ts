/** Sizes of the cache in bytes, times in milliseconds. */
const KiB = 1024;
const MiB = 1024 * KiB;

export const CacheLimits = {
  /**
   * Size of a chunk of memory, and of the blocks into which files are divided. No load crosses a block boundary. Direct reads of
   * 256 KiB were the fastest measured (SourceLimits.directPart).
   */
  block: 256 * KiB,
  /**
   * Random reads are rounded to pieces of this size, not to blocks: for reads of 4 KiB, whole blocks would multiply the traffic
   * of a remote source by 64. A piece serves the next few small reads of a client that parses a header.
   */
  piece: 16 * KiB,
  /** Bytes at the beginning and at the end of a file that are evicted last, as scanners and players read them repeatedly. */
  edge: MiB,
  /** Share of the budget for beginnings and ends. Beyond it they are evicted first. */
  edgeShare: 0.5,
  /** Maximum number of readers that are tracked in one file. */
  streams: 8,
  /** A reader without a read for this long gets no further reads; they begin a new reader. */
  streamAge: 60_000,
  /**
   * Kernel clients send reads out of order. A read belongs to a reader if its distance from the reader's front is at most
   * `reachReads` times its own length, with a minimum of `leastReach` and a maximum of `mostReach`.
   */
  leastReach: 256 * KiB,
  reachReads: 8,
  mostReach: 8 * MiB,
  /** A reader is sequential if it has read at least this share of the range from its first byte to its furthest answered byte. */
  density: 0.75,
  /** The first read-ahead window. The window doubles each time the reader has advanced by half of it. */
  firstWindow: MiB,
  /** Share of the budget for reading ahead. The active readers of an export divide it evenly. */
  aheadShare: 0.25,
  /**
   * Maximum running read-ahead loads of one reader, and of all readers of an export. Clients' own reads are not counted. 8 loads
   * keep a daemon busy that needs 10 ms for each 128 KiB, and do not delay another reader's first read much.
   */
  loadsPerStream: 12,
  loadsAhead: 24,
  /** A reader is active, and takes its part of these limits, for this long after its last read. */
  streamActive: 2_000,
  /**
   * A file changed less than `youngFor` ago may change again with the same timestamp, as timestamps may have a resolution of 1 s,
   * or 2 s on FAT. So its blocks are dropped once, `timeGrain` after the file was first read in this version.
   */
  youngFor: 10_000,
  timeGrain: 2_500,
} as const;

export interface ReadAheadSettings {
  /** Maximum bytes ahead of a reader; 0 turns reading ahead off. */
  readonly max: number;
  /** Bytes that a reader must have read in order before reading ahead begins. */
  readonly start: number;
}

export const usualReadAhead: ReadAheadSettings = { max: 16 * MiB, start: 2 * MiB };

/**
 * For a daemon that fetches ahead itself while a file is open, and begins another download for a read more than 4 MiB from its
 * current position. There, reading ahead only hides the round trip to the daemon. `start` equals SourceLimits.streamBytes, so
 * that reading ahead never keeps the descriptor of a short probe open.
 */
export const carefulReadAhead: ReadAheadSettings = { max: 4 * MiB, start: 8 * MiB };
