/** The messages between the controlling process and the FUSE daemon, over the IPC channel of `fork`. */

/** The kinds of operation that latency, hangs, failures and counts distinguish. `lookup` includes getattr and readlink. */
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
  /** Number of releases in `__all__`. Those with an even index are in `torrents` as well, the odd ones in `nzbs`. */
  readonly releases: number;
  /** The files of every release. */
  readonly files: readonly ReleaseFileSpec[];
  /** Further entries. Missing parent folders are created. */
  readonly extra: readonly EntrySpec[];
  /** When the first release was added (ms since the epoch). Each further release is one minute newer. */
  readonly addedOnMs: number;
  /**
   * The mtime that is reported. `decypharr`: always "now" for the root's directories; for a file, a lookup reports when it
   * was added, and each getattr within the entry timeout after that reports "now". `real`: always when the entry was
   * added. `now`: always now.
   */
  readonly times: 'decypharr' | 'real' | 'now';
  /** Entries at or below these paths always report "now" as their mtime. */
  readonly nowPaths: readonly string[];
  /** When a path gets a new inode number. `lookup`: at every fresh lookup. `mount`: only at a remount. */
  readonly inodes: 'lookup' | 'mount';
  /** st_nlink of every entry. */
  readonly nlink: number;
  readonly entryTimeoutSeconds: number;
  readonly attrTimeoutSeconds: number;
  /** Largest READ the kernel sends (bytes, up to 128 KiB). */
  readonly maxRead: number;
  /** The mount's source as /proc/mounts shows it. */
  readonly fsname: string;
  /** Latency and hangs that apply from the start of every mount. */
  readonly latency: Latency;
  readonly hang: readonly FaultScope[];
  /** The provider that reads wait for. Default null: every byte is available at once. */
  readonly provider: ProviderSpec | null;
  /**
   * How the daemon treats O_DIRECT. `refuse-open`: open fails with EINVAL. `refuse-read`: every read fails with EINVAL.
   * `refuse-unaligned`: a read fails with EINVAL if its offset or length is not a multiple of 512. The daemon does not see
   * O_DIRECT that fcntl sets later: FUSE passes it the flags of the open only.
   */
  readonly direct: 'accept' | 'refuse-open' | 'refuse-read' | 'refuse-unaligned';
  /** FOPEN_DIRECT_IO for every file: the kernel caches no content and passes the daemon's answers on unchanged. */
  readonly directIo: boolean;
}

/** A provider on the network, and how the daemon fetches from it (provider.ts). */
export interface ProviderSpec {
  /** Rate of each request. */
  readonly bytesPerSecond: number;
  /** Time from a request to its first byte. */
  readonly firstByteMs: number;
  /** How far the daemon reads ahead of the last read while the file is open. */
  readonly aheadBytes: number;
  /** Read-ahead stops when a file has not been read for this long, even if it is open. */
  readonly idleMs: number;
  /** A read that has waited for this long fails with EIO. */
  readonly giveUpMs: number;
}

/** How the daemon shuts down. */
export interface LeaveSpec {
  /**
   * `turns`: for `forMs` lookups are answered and reads get `answers`; then the mount is detached.
   * `hanwen`: as Decypharr with that library. Reads in flight get 0 bytes. For `flushMs` all new reads fail with EIO. After
   * that, reads of descriptors opened before the shutdown fail; reads of new descriptors get the bytes that are on the
   * disk, and 0 bytes for anything else. The daemon tries to unmount for 0.3 s and detaches a busy mount 1 s later.
   * `cgo`: as Decypharr with libfuse. The mount is detached first; reads fail with EIO, and after 200 ms with ENOENT.
   */
  readonly manner: 'turns' | 'hanwen' | 'cgo';
  readonly forMs: number;
  readonly flushMs: number;
  /** The answers that reads get in turn; after the last the first follows again. */
  readonly answers: readonly LeavingAnswer[];
  /** The database is closed first: every lookup fails with ENOENT and every listing is empty. */
  readonly losesNames: boolean;
  /** Ms after the unmount until the same process mounts again; null: the process exits. */
  readonly backAfterMs: number | null;
}

/** How a read is answered: EIO, half of the bytes asked for, or 0 bytes. The last two are successes. */
export type LeavingAnswer = 'error' | 'short' | 'nothing';

/** Milliseconds before each operation is answered; a READ is one request of at most `maxRead` bytes. */
export type Latency = Partial<Record<FuseOperation, number>>;

/** Where a fault applies: to these operations (default all) at or below this path (`/` is the whole tree). */
export interface FaultScope {
  readonly path: string;
  readonly operations?: readonly FuseOperation[];
}

export interface FailureSpec extends FaultScope {
  readonly errno: number;
  readonly afterMs: number;
  /** Only the first failure of each path takes `afterMs`; later ones fail at once, as with a dead link. */
  readonly delaysOnce: boolean;
}

export interface OperationCounts {
  readonly lookup: number;
  readonly list: number;
  readonly open: number;
  readonly read: number;
  readonly change: number;
  /** Bytes that reads returned. */
  readonly readBytes: number;
}

/** Descriptors at or below a path. */
export interface DescriptorCounts {
  readonly opens: number;
  readonly closes: number;
  readonly openNow: number;
  /** The most that were open at the same time. */
  readonly openMost: number;
}

/** Requests to the provider and bytes fetched from it. */
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

/** A change that the kernel is not notified of and that does not update the directory's mtime. */
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

/** A fast connection to a distant provider. */
export const defaultProvider: ProviderSpec = {
  bytesPerSecond: 20_000_000,
  firstByteMs: 60,
  aheadBytes: 128 * MIB,
  idleMs: 30_000,
  giveUpMs: 120_000,
};

/** All the read results that were observed while Decypharr shut down at SIGTERM. */
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

/** The path in the tree of release `index`, or of a file in it. */
export function releasePath(index: number, fileName?: string): string {
  const release = `/__all__/${releaseName(index)}`;
  return fileName === undefined ? release : `${release}/${fileName}`;
}
