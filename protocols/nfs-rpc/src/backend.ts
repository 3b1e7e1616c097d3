/**
 * What the NFSv3 and MOUNT programs need from whoever owns the files. Implementations may answer at once or
 * with a promise; an answer at once costs the caller no turn of the event loop.
 */
import type { CallContext } from './rpc/context.ts';
import type { MountStatus, NfsStatus } from './status.ts';

export type Awaitable<T> = T | Promise<T>;

/**
 * A file name as it travels: one character (U+0000..U+00FF) for each byte, so that names that are not UTF-8
 * survive. RFC 1813 §2.5 leaves the character set open.
 */
export type ByteString = string;

/** ftype3, RFC 1813 §2.6. */
export const FileType = {
  regular: 1,
  directory: 2,
  block: 3,
  character: 4,
  symlink: 5,
  socket: 6,
  fifo: 7,
} as const;
export type FileType = (typeof FileType)[keyof typeof FileType];

/** nfstime3, RFC 1813 §2.6: seconds and nanoseconds (below 10^9) since 1970, both unsigned 32 bit. */
export interface NfsTime {
  readonly seconds: number;
  readonly nanoseconds: number;
}

/** fattr3, RFC 1813 §2.6. 64-bit identities come as two unsigned 32-bit halves: nothing bigint on the hot path. */
export interface FileAttributes {
  readonly type: FileType;
  /** Permission bits with set-uid, set-gid and sticky (0..0o7777). */
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes, at most 2^53 - 1; the same for `used`. */
  readonly size: number;
  readonly used: number;
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  readonly fsidHigh: number;
  readonly fsidLow: number;
  readonly fileidHigh: number;
  readonly fileidLow: number;
  readonly atime: NfsTime;
  readonly mtime: NfsTime;
  readonly ctime: NfsTime;
}

/** fileid3 as two unsigned 32-bit halves. */
export interface Fileid {
  readonly high: number;
  readonly low: number;
}

/** sattr3, RFC 1813 §2.6: what SETATTR and the creating procedures ask for; absent means "leave as it is". */
export interface SetAttributes {
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly size?: bigint;
  readonly atime?: NfsTime | 'server';
  readonly mtime?: NfsTime | 'server';
}

export interface ReadResult {
  /** Bytes put at the start of the target. */
  readonly length: number;
  readonly eof: boolean;
}

/**
 * One directory as an ordered, immutable snapshot without `.` and `..` (the protocol layer adds those with cookies
 * 1 and 2). A later call with a cookie from an older snapshot of the same directory goes on at `after(cookie)`.
 */
export interface DirectoryListing<N> {
  readonly length: number;
  /** Cookies ascend with the index, are unique, at least 3 and at most 2^53 - 1. */
  cookieAt(index: number): number;
  nameAt(index: number): ByteString;
  fileidHighAt(index: number): number;
  fileidLowAt(index: number): number;
  /** Index of the first entry whose cookie is greater than this one (`length` when there is none). */
  after(cookie: number): number;
  /** Makes nodes and attributes of the entries from..to (exclusive) ready. Never fails for single entries. */
  load(from: number, to: number): Awaitable<void>;
  /** After `load`: the entry's node, or undefined when the entry could not be looked at. */
  nodeAt(index: number): N | undefined;
}

/** FSSTAT, RFC 1813 §3.3.18; bytes and file counts are at most 2^53 - 1, invarsec in seconds. */
export interface FsStat {
  readonly totalBytes: number;
  readonly freeBytes: number;
  readonly availableBytes: number;
  readonly totalFiles: number;
  readonly freeFiles: number;
  readonly availableFiles: number;
  readonly invariantSeconds: number;
}

/** FSINFO, RFC 1813 §3.3.19: what the backend decides; the sizes are the protocol layer's limits. */
export interface FsInfo {
  readonly maxFileSize: number;
  readonly timeDelta: NfsTime;
  readonly symlinks: boolean;
  readonly hardLinks: boolean;
  readonly canSetTime: boolean;
  /** FSF3_HOMOGENEOUS: PATHCONF is the same for every object. */
  readonly homogeneous: boolean;
}

/** PATHCONF, RFC 1813 §3.3.20. */
export interface PathConf {
  readonly linkMax: number;
  readonly nameMax: number;
  readonly noTruncation: boolean;
  readonly chownRestricted: boolean;
  readonly caseInsensitive: boolean;
  readonly casePreserving: boolean;
}

/** stable_how, RFC 1813 §3.3.7. */
export const StableHow = { unstable: 0, dataSync: 1, fileSync: 2 } as const;
export type StableHow = (typeof StableHow)[keyof typeof StableHow];

export interface WriteResult {
  readonly length: number;
  readonly committed: StableHow;
}

export type CreateHow =
  | { readonly mode: 'unchecked' | 'guarded'; readonly attributes: SetAttributes }
  | { readonly mode: 'exclusive'; readonly verifier: Buffer };

export interface SpecialNode {
  readonly type: FileType;
  readonly attributes: SetAttributes;
  readonly rdevMajor: number;
  readonly rdevMinor: number;
}

/** Bits of ACCESS, RFC 1813 §3.3.4. */
export const Access = {
  read: 0x01,
  lookup: 0x02,
  modify: 0x04,
  extend: 0x08,
  delete: 0x10,
  execute: 0x20,
} as const;

/**
 * The files behind NFSv3. `N` is the backend's own node type; the protocol layer passes it back and never looks in.
 * Every method may throw (or reject with) `NfsError`; anything else thrown is a bug and becomes SERVERFAULT.
 * Names handed in are 1..255 bytes, without NUL and `/`, and never `.` or `..`. Buffers handed in (handles, data to
 * write, verifiers) are views of what was received: whoever keeps one beyond the call copies it.
 */
export interface NfsBackend<N> {
  /**
   * The node of a file handle, for this caller. Throws BADHANDLE (not one of ours), STALE (a healthy source says it is
   * gone), ACCES (the caller may not use this export) or JUKEBOX (cannot say now).
   */
  resolve(handle: Buffer, call: CallContext): Awaitable<N>;
  /** Canonical handle bytes: at most 64, a multiple of 4, the same object always the same bytes. */
  handle(node: N): Buffer;
  /** The fileid that attributes and listings show for this node. Never waits. */
  fileid(node: N): Fileid;
  /** Attributes if they are at hand, for post_op_attr and directory entries. Never waits. */
  cachedAttributes(node: N): FileAttributes | undefined;
  getAttributes(node: N, call: CallContext): Awaitable<FileAttributes>;
  /** Which of the wanted `Access` bits the caller has. */
  access(node: N, wanted: number, call: CallContext): Awaitable<number>;
  lookup(directory: N, name: ByteString, call: CallContext): Awaitable<N>;
  /** The directory above; the root of an export is its own parent. */
  parent(node: N): N;
  readlink(node: N, call: CallContext): Awaitable<ByteString>;
  /**
   * Reads up to `target.length` bytes at `offset` (0..2^53 - 1) into `target`; short only at the end of the file.
   * After an answer `target` belongs to someone else; after a failure it may still be written to, and is not reused.
   */
  read(node: N, offset: number, target: Buffer, call: CallContext): Awaitable<ReadResult>;
  /**
   * A READ of the node waits until earlier ones of it have been answered; what this gives is called when it waits no longer.
   * For those who show what is being waited for.
   */
  readWaits?(node: N, call: CallContext): () => void;
  list(directory: N, call: CallContext): Awaitable<DirectoryListing<N>>;
  fsStat(node: N, call: CallContext): Awaitable<FsStat>;
  fsInfo(node: N, call: CallContext): Awaitable<FsInfo>;
  pathConf(node: N, call: CallContext): Awaitable<PathConf>;

  /**
   * The changing procedures. The protocol layer takes wcc_data from `cachedAttributes` before and after.
   * A read-only backend gives `undefined`: the procedures then answer ROFS once the handles have been resolved.
   */
  readonly changes: NfsChanges<N> | undefined;
}

export interface NfsChanges<N> {
  setAttributes(
    node: N,
    wanted: SetAttributes,
    guard: NfsTime | undefined,
    call: CallContext,
  ): Awaitable<void>;
  write(node: N, offset: number, data: Buffer, stable: StableHow, call: CallContext): Awaitable<WriteResult>;
  create(directory: N, name: ByteString, how: CreateHow, call: CallContext): Awaitable<N>;
  makeDirectory(directory: N, name: ByteString, wanted: SetAttributes, call: CallContext): Awaitable<N>;
  makeSymlink(
    directory: N,
    name: ByteString,
    target: ByteString,
    wanted: SetAttributes,
    call: CallContext,
  ): Awaitable<N>;
  makeNode(directory: N, name: ByteString, special: SpecialNode, call: CallContext): Awaitable<N>;
  remove(directory: N, name: ByteString, call: CallContext): Awaitable<void>;
  removeDirectory(directory: N, name: ByteString, call: CallContext): Awaitable<void>;
  rename(from: N, fromName: ByteString, to: N, toName: ByteString, call: CallContext): Awaitable<void>;
  link(node: N, directory: N, name: ByteString, call: CallContext): Awaitable<void>;
  commit(node: N, offset: bigint, count: number, call: CallContext): Awaitable<void>;
  /** Changes when unstable writes may have been lost: 8 bytes, RFC 1813 §3.3.7. */
  readonly writeVerifier: Buffer;
}

/** One line of EXPORT (MOUNT v3, RFC 1813 Appendix I). */
export interface ExportEntry {
  /** UTF-8 text such as `/dfs`. */
  readonly path: string;
  /** The rules as shown to a client, such as `10.0.0.0/8`. */
  readonly groups: readonly string[];
}

/** What the MOUNT program needs. Throws `MountError`. */
export interface MountBackend {
  exports(): readonly ExportEntry[];
  /** The handle for a path such as `/dfs` or `/dfs/__all__/Some.Release`, for this caller. */
  mount(path: ByteString, call: CallContext): Awaitable<Buffer>;
  /** A client said that it does not use this path any more; `*`: none that it had mounted. */
  unmounted?(path: ByteString, call: CallContext): void;
}

/** An expected failure of an NFSv3 procedure, with the status that goes on the wire. */
export class NfsError extends Error {
  override readonly name = 'NfsError';
  readonly status: NfsStatus;
  constructor(status: NfsStatus, options?: ErrorOptions) {
    super(`NFS3 status ${status}`, options);
    this.status = status;
  }
}

/** An expected failure of MNT, with the status that goes on the wire. */
export class MountError extends Error {
  override readonly name = 'MountError';
  readonly status: MountStatus;
  constructor(status: MountStatus, options?: ErrorOptions) {
    super(`MNT3 status ${status}`, options);
    this.status = status;
  }
}
