/**
 * The source's answers in raw form; the tree normalises them. Imports nothing.
 *
 * Paths and names are byte strings: one character (U+0000..U+00FF) for each byte.
 */

export type Kind = 'file' | 'directory' | 'symlink' | 'fifo' | 'socket' | 'block' | 'character' | 'unknown';

/** A point in time: whole seconds since 1970 (may be negative) and nanoseconds from 0 to 999,999,999. */
export interface Time {
  readonly seconds: number;
  readonly nanoseconds: number;
}

/** Attributes before the tree normalises them. Clients must never see these. */
export interface RawAttributes {
  readonly kind: Kind;
  readonly mode: number;
  readonly links: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes, at most Number.MAX_SAFE_INTEGER. */
  readonly size: number;
  /** Allocated bytes. */
  readonly used: number;
  readonly rdev: number;
  readonly mtime: Time;
  readonly ctime: Time;
  readonly atime: Time;
  /** Undefined if the file system has no birth time, as FUSE. */
  readonly birth: Time | undefined;
}

/** A directory's entries in no particular order. `kinds` are hints: only a lookup of the entry is reliable. */
export interface RawListing {
  readonly names: readonly string[];
  readonly kinds: readonly Kind[];
  /** Attributes of the first entries, if a worker looked them up with the listing. Undefined for a failed lookup. */
  readonly attributes?: readonly (RawAttributes | undefined)[] | undefined;
  /** Digest of the names in this order. */
  readonly digest?: string | undefined;
}

/** An object, and its listing if it is a directory that a worker has listed in the same request. */
export interface Found {
  readonly attributes: RawAttributes;
  readonly listing: RawListing | undefined;
}

/** statfs(2), in bytes and inodes, each at most Number.MAX_SAFE_INTEGER. */
export interface SpaceUsage {
  readonly totalBytes: number;
  readonly freeBytes: number;
  readonly availableBytes: number;
  readonly totalFiles: number;
  readonly freeFiles: number;
}

export type SourceState = 'live' | 'down' | 'stuck';

/** Called at every change of state; `reason` is a text for logs. */
export type StateListener = (state: SourceState, epoch: number, reason: string) => void;

/** The current state of one mount of a tree, or of the plain folder at its root. */
export interface SourcePart {
  /** Its place below the root: '' for the root itself, or '/name'. */
  readonly base: string;
  readonly state: SourceState;
  /** The number of mounts seen so far. */
  readonly epoch: number;
  /** The reason of the state, for logs. */
  readonly reason: string;
  /** Whether it is or last was a FUSE mount; true for a mount that was never seen. */
  readonly isFuse: boolean;
  /** Objects in quarantine. */
  readonly quarantined: number;
}

export interface PartChange {
  /** Place of the part, even if it is no longer expected. */
  readonly base: string;
  /** State of the part that the path leads to now. */
  readonly state: SourceState;
  readonly epoch: number;
  readonly reason: string;
}
