/** Types that every module of the tree may import. Imports only other plain types. */
import type { Kind, Time } from '../source/raw.ts';

export type { Kind, SourceState, SpaceUsage, Time } from '../source/raw.ts';

/** A value if it is known, a promise if the source must be asked. */
export type Awaitable<T> = T | Promise<T>;

/** `source`: times are passed on unchanged. `auto`: times that follow the clock are replaced by stable ones. */
export type TimesPolicy = 'auto' | 'source';

/** Attributes as every consumer sees them. */
export interface Attributes {
  readonly kind: Kind;
  /** Permission bits with set-uid, set-gid and sticky. */
  readonly mode: number;
  /** At least 2 for directories and 1 for other kinds: SMB and NFS clients treat 0 as deleted. */
  readonly links: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly used: number;
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  readonly atime: Time;
  readonly mtime: Time;
  /** NFSv3 clients use it as the change attribute: it changes if and only if the object has changed. */
  readonly ctime: Time;
  /** Constant for an object: the Linux cifs client uses it as the inode's generation. */
  readonly creation: Time;
}

export interface ReadOutcome {
  readonly length: number;
  readonly eof: boolean;
}
