/** What the controlling process and the FUSE daemon say to each other over the fork's IPC channel. */

/** The operations that latency, hangs, failures and counts tell apart. A lookup and a getattr are one. */
export type FuseOperation = 'lookup' | 'list' | 'open' | 'read' | 'change';

/** Paths are absolute inside the tree: `/__all__/Some.Release/file.mkv`. */
export type EntrySpec =
  | {
      readonly type: 'file';
      readonly path: string;
      readonly size: number;
      readonly mtimeMs?: number;
      readonly version?: number;
    }
  | { readonly type: 'directory'; readonly path: string; readonly mtimeMs?: number }
  | { readonly type: 'symlink'; readonly path: string; readonly target: string };

export interface ReleaseFileSpec {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
}

export interface TreeSpec {
  /** Releases in `__all__`; the even ones are in `torrents` as well, the odd ones in `nzbs`. */
  readonly releases: number;
  /** The files of every release. */
  readonly files: readonly ReleaseFileSpec[];
  /** Entries beyond those; missing parents are made. */
  readonly extra: readonly EntrySpec[];
  /** The time the first release was added (ms since the epoch); each next one came a minute later. */
  readonly addedOnMs: number;
  /**
   * `decypharr`: the root's directories always say "now"; a file says when it was added to a lookup and "now" to
   * every getattr that follows it within the entry timeout. `real`: always when it was added. `now`: always now.
   */
  readonly times: 'decypharr' | 'real' | 'now';
  /** Files and directories at or below these paths always say "now". */
  readonly nowPaths: readonly string[];
  /** `lookup`: a fresh lookup numbers the path anew. `mount`: only a remount does. */
  readonly inodes: 'lookup' | 'mount';
  /** st_nlink of every entry. */
  readonly nlink: number;
  readonly entryTimeoutSeconds: number;
  readonly attrTimeoutSeconds: number;
  /** Largest READ the kernel sends (bytes, up to 128 KiB). */
  readonly maxRead: number;
  /** The mount's source as /proc/mounts shows it. */
  readonly fsname: string;
  /** Faults that hold from the first moment of every mount. */
  readonly latency: Latency;
  readonly hang: readonly FaultScope[];
  /** What reads wait for. Default null: every byte is there at once. */
  readonly provider: ProviderSpec | null;
  /**
   * What the daemon says to O_DIRECT. `refuse-open`: EINVAL at open. `refuse-read`: EINVAL at every read.
   * `refuse-unaligned`: EINVAL at a read whose offset or length is no multiple of 512. O_DIRECT set later by fcntl is not
   * seen: FUSE tells a daemon the flags of the open only.
   */
  readonly direct: 'accept' | 'refuse-open' | 'refuse-read' | 'refuse-unaligned';
  /** FOPEN_DIRECT_IO for every file: the kernel caches no content, and hands out answers as they come. */
  readonly directIo: boolean;
}

/** A provider on the network and the daemon that fetches from it (provider.ts). */
export interface ProviderSpec {
  /** Of each request. */
  readonly bytesPerSecond: number;
  /** From a request to its first byte. */
  readonly firstByteMs: number;
  /** How far a file is fetched beyond its last read, while it is open. */
  readonly aheadBytes: number;
  /** A file that nobody has read for so long is fetched no further, open or not. */
  readonly idleMs: number;
  /** A read that has waited for so long fails with EIO. */
  readonly giveUpMs: number;
}

/** How the daemon ends in good order. */
export interface LeaveSpec {
  /**
   * `turns`: for `forMs` names are answered, and reads get `answers`; then the mount is detached.
   * `hanwen`: as Decypharr with that library. For `flushMs` every read fails with EIO, and one that is on its way gets 0
   * bytes. Then descriptors of before fail, and new ones read what is on the disk and get 0 bytes of all else. The
   * unmount is tried for 0.3 s, and a second later a mount that is still busy is detached.
   * `cgo`: as Decypharr with libfuse. The mount is detached first; then reads fail with EIO and after 200 ms with ENOENT.
   */
  readonly manner: 'turns' | 'hanwen' | 'cgo';
  readonly forMs: number;
  readonly flushMs: number;
  /** What the reads get, one after the other and again from the first. */
  readonly answers: readonly LeavingAnswer[];
  /** Its database is closed first: every lookup says ENOENT and every listing is empty. */
  readonly losesNames: boolean;
  /** It mounts again in the same process, so long after the unmount; null: the process ends. */
  readonly backAfterMs: number | null;
}

/** EIO; fewer bytes than asked for; 0 bytes. The latter two with success. */
export type LeavingAnswer = 'error' | 'short' | 'nothing';

/** Milliseconds before each operation is answered; a READ is one request of at most `maxRead` bytes. */
export type Latency = Partial<Record<FuseOperation, number>>;

/** Where a fault applies: these operations (all of them if left out) at or below this path (`/` is everything). */
export interface FaultScope {
  readonly path: string;
  readonly operations?: readonly FuseOperation[];
}

export interface FailureSpec extends FaultScope {
  readonly errno: number;
  readonly afterMs: number;
  /** `afterMs` holds for the first failure of each path only; then it fails at once, as a dead link does. */
  readonly delaysOnce: boolean;
}

export interface OperationCounts {
  readonly lookup: number;
  readonly list: number;
  readonly open: number;
  readonly read: number;
  readonly change: number;
  /** Bytes that the READs asked for returned. */
  readonly readBytes: number;
}

/** Descriptors at or below a path. */
export interface DescriptorCounts {
  readonly opens: number;
  readonly closes: number;
  readonly openNow: number;
  /** The most that were open at one time. */
  readonly openMost: number;
}

/** What was asked of the provider: the user's traffic. */
export interface ProviderCounts {
  readonly bytes: number;
  readonly requests: number;
}

export interface UsageCounts extends DescriptorCounts {
  readonly provider: ProviderCounts;
}

export type DaemonCommand =
  | {
      readonly name: 'mount';
      readonly mountpoint: string;
      readonly spec: TreeSpec;
      readonly changes: readonly TreeChange[];
    }
  | { readonly name: 'change'; readonly change: TreeChange }
  | { readonly name: 'latency'; readonly latency: Latency; readonly path: string }
  | { readonly name: 'hang'; readonly scope: FaultScope }
  | { readonly name: 'fail'; readonly failure: FailureSpec }
  | { readonly name: 'lose'; readonly path: string }
  | { readonly name: 'cut'; readonly path: string; readonly entries: number }
  | { readonly name: 'stall' }
  | { readonly name: 'usage'; readonly path: string }
  | { readonly name: 'leave'; readonly leave: LeaveSpec }
  | { readonly name: 'heal'; readonly path: string }
  | { readonly name: 'counts'; readonly path: string }
  | { readonly name: 'resetCounts' }
  | { readonly name: 'held' }
  | { readonly name: 'waitHeld'; readonly count: number }
  | { readonly name: 'exit'; readonly code: number };

/** A change behind the kernel's back: no notification, no directory mtime. */
export type TreeChange =
  | { readonly kind: 'add'; readonly entry: EntrySpec }
  | { readonly kind: 'remove'; readonly path: string }
  | { readonly kind: 'resize'; readonly path: string; readonly size: number; readonly mtimeMs?: number }
  | {
      readonly kind: 'replace';
      readonly path: string;
      readonly size: number;
      readonly version: number;
      readonly mtimeMs: number;
    }
  | { readonly kind: 'touch'; readonly path: string; readonly mtimeMs: number };

export interface DaemonRequest {
  readonly id: number;
  readonly command: DaemonCommand;
}

export interface DaemonReply {
  readonly id: number;
  readonly error?: { readonly message: string; readonly code: string };
  readonly value?: unknown;
}

export const MIB = 1024 ** 2;

export const defaultSpec: TreeSpec = {
  releases: 20,
  files: [
    { name: 'video.mkv', size: 64 * MIB },
    { name: 'video.en.srt', size: 48_321 },
  ],
  extra: [{ type: 'symlink', path: '/latest', target: '__all__' }],
  addedOnMs: Date.UTC(2024, 0, 1),
  times: 'decypharr',
  nowPaths: [],
  inodes: 'lookup',
  nlink: 0,
  entryTimeoutSeconds: 1,
  attrTimeoutSeconds: 30,
  maxRead: 128 * 1024,
  fsname: 'decypharr',
  latency: {},
  hang: [],
  provider: null,
  direct: 'accept',
  directIo: false,
};

/** A fast line to a provider that is not near. */
export const defaultProvider: ProviderSpec = {
  bytesPerSecond: 20_000_000,
  firstByteMs: 60,
  aheadBytes: 128 * MIB,
  idleMs: 30_000,
  giveUpMs: 120_000,
};

/** All that readers of Decypharr were seen to get at SIGTERM, for as long as it takes. */
export const defaultLeave: LeaveSpec = {
  manner: 'turns',
  forMs: 1500,
  flushMs: 200,
  answers: ['error', 'short', 'nothing'],
  losesNames: false,
  backAfterMs: null,
};

/** The name of release `index` (from 0) in `__all__`. */
export function releaseName(index: number): string {
  return `Some.Release.${String(index).padStart(5, '0')}.2024.1080p.WEB.x264-GROUP`;
}

/** The tree's path of a file of release `index`. */
export function releasePath(index: number, fileName?: string): string {
  const release = `/__all__/${releaseName(index)}`;
  return fileName === undefined ? release : `${release}/${fileName}`;
}
