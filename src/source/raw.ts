/**
 * What the source says, before anything of it is believed. Imports nothing.
 *
 * Paths and names are byte strings: one character (U+0000..U+00FF) for each byte.
 */

export type Kind = 'file' | 'directory' | 'symlink' | 'fifo' | 'socket' | 'block' | 'character' | 'unknown';

/** One point in time: whole seconds since 1970, which may be negative, and nanoseconds from 0 to 999,999,999. */
export interface Time {
  readonly seconds: number;
  readonly nanoseconds: number;
}

/** The tree normalises these; nothing else may show them to a client. */
export interface RawAttributes {
  readonly kind: Kind;
  readonly mode: number;
  readonly links: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes, at most Number.MAX_SAFE_INTEGER. */
  readonly size: number;
  /** Bytes on the medium. */
  readonly used: number;
  readonly rdev: number;
  readonly mtime: Time;
  readonly ctime: Time;
  readonly atime: Time;
  /** Undefined where the filesystem keeps no birth time, as FUSE does not. */
  readonly birth: Time | undefined;
}

/** A directory as read, in no particular order. `kinds` are hints: only a look at the entry itself decides. */
export interface RawListing {
  readonly names: readonly string[];
  readonly kinds: readonly Kind[];
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

/** Called at every change of state; `reason` is for people. */
export type StateListener = (state: SourceState, epoch: number, reason: string) => void;

/** One mount of a tree, or the plain folder at its root, as it is now. */
export interface SourcePart {
  /** Where it is, below the root: '' for what lies at the root itself, or '/name'. */
  readonly base: string;
  readonly state: SourceState;
  /** How often it was mounted, as far as it was seen. */
  readonly epoch: number;
  /** Why it is in that state, for people. */
  readonly reason: string;
  /** Whether a FUSE daemon is behind it, or was; true as well for a mount that was never seen. */
  readonly isFuse: boolean;
  /** Objects in quarantine. */
  readonly quarantined: number;
}

export interface PartChange {
  /** Where the part is or, when it is not expected any more, was. */
  readonly base: string;
  /** Of what the path leads to now. */
  readonly state: SourceState;
  readonly epoch: number;
  readonly reason: string;
}
