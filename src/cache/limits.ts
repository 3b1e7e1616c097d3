/** Sizes of the cache in bytes, times in milliseconds. */
const KiB = 1024;
const MiB = 1024 * KiB;

export const CacheLimits = {
  /**
   * Memory comes in chunks of this size, and no load crosses a block of this size in its file. Direct reads of 256 KiB were
   * the quickest measured (SourceLimits.directPart).
   */
  block: 256 * KiB,
  /**
   * A read of a random place is rounded to such pieces, and not to a block: over a daemon that fetches from far away, blocks of
   * 256 KiB would be 64 times the traffic of a reader of 4 KiB. A piece is the next few small reads of whoever parses a header.
   */
  piece: 16 * KiB,
  /** Beginning and end of a file: what scanners and players ask for again. */
  edge: MiB,
  /** Of the budget, for beginnings and ends; beyond it they are evicted first. */
  edgeShare: 0.5,
  /** Readers of one file that are told apart. */
  streams: 8,
  /** A reader that has not read for so long is forgotten when another comes. */
  streamAge: 60_000,
  /** Kernel clients send reads out of order: a reader may jump by this much, or by so many of its reads, and by no more than that. */
  leastReach: 256 * KiB,
  reachReads: 8,
  mostReach: 8 * MiB,
  /** A reader of a stream has read this part of what lies behind its front. */
  density: 0.75,
  /** Reading ahead begins with this much. It doubles each time that the reader has come half as far. */
  firstWindow: MiB,
  /** Part of the budget that one reader may have ahead of it; all readers of an export share it. */
  aheadShare: 0.25,
  /**
   * Loads ahead of one reader that run at once, and of all readers of an export. Clients' own reads come on top. Those of one reader keep
   * a daemon busy that takes 10 ms for each 128 KiB, and are few enough that another reader's first is not behind many.
   */
  loadsPerStream: 8,
  loadsAhead: 24,
  /** A reader counts as one of those who share that while it has read within this time. */
  streamActive: 2_000,
  /**
   * Bytes of a source whose files were changed just now: times may be whole seconds, or two on FAT, so that another change within
   * this time does not show.
   */
  youngFor: 10_000,
  timeGrain: 2_500,
} as const;

export interface ReadAheadSettings {
  /** Bytes ahead of a reader at most; 0: none. */
  readonly max: number;
  /** Bytes that a reader must have read in order before anything is read ahead of it. */
  readonly start: number;
}

export const usualReadAhead: ReadAheadSettings = { max: 16 * MiB, start: 2 * MiB };

/**
 * Over a daemon that fetches ahead by itself for as long as a file is open, and begins another download for a read that is more
 * than 4 MiB from where it is: then reading ahead only hides the way to the daemon. It begins where the file is taken for a stream
 * at the source as well (SourceLimits.streamBytes), so that no probe's descriptor stays open for it.
 */
export const carefulReadAhead: ReadAheadSettings = { max: 4 * MiB, start: 8 * MiB };
