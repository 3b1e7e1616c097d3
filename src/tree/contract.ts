/** The types that everything in the tree may import. This module imports nothing but other plain types. */
import type { Kind, Time } from '../source/raw.ts';

export type { Kind, SourceState, SpaceUsage, Time } from '../source/raw.ts';

/** An answer at once where it is known, a promise where the source must be asked. */
export type Awaitable<T> = T | Promise<T>;

/** How far the times of a source are believed. */
export type TimesPolicy = 'auto' | 'source';

/** Attributes as every consumer sees them. */
export interface Attributes {
  readonly kind: Kind;
  /** Permission bits with set-uid, set-gid and sticky. */
  readonly mode: number;
  /** Directories at least 2, everything else at least 1: SMB and NFS clients take 0 for "deleted". */
  readonly links: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly used: number;
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  readonly atime: Time;
  readonly mtime: Time;
  /** The change attribute of NFSv3: moves when, and only when, something changed. */
  readonly ctime: Time;
  /** Constant for an object: the Linux cifs client takes it for the inode's generation. */
  readonly creation: Time;
}

export interface ReadOutcome {
  readonly length: number;
  readonly eof: boolean;
}
