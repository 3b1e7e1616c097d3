/**
 * What the NFSv3 and MOUNT programs need from a backend. A method may return a value or a promise; a value costs the
 * caller no turn of the event loop.
 */
import type { CallContext } from './rpc/context.ts';
import type { MountStatus, NfsStatus } from './status.ts';

export type Awaitable<T> = T | Promise<T>;

/**
 * A file name in wire form: one character (U+0000..U+00FF) for each byte, so that names that are not UTF-8 are kept.
 * RFC 1813 §2.5 does not fix the character set.
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

/** fattr3, RFC 1813 §2.6. 64-bit ids are two unsigned 32-bit halves, to avoid bigint on the hot path. */
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

/** sattr3, RFC 1813 §2.6: the attributes that SETATTR and the creating procedures set. An absent field is not changed. */
export interface SetAttributes {
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly size?: bigint;
  readonly atime?: NfsTime | 'server';
  readonly mtime?: NfsTime | 'server';
}

export interface ReadResult {
  /** Bytes written to the start of the target. */
  readonly length: number;
  readonly eof: boolean;
}

/**
 * An ordered, immutable snapshot of a directory, without `.` and `..`: the protocol layer adds those with cookies 1 and
 * 2. A cookie from an older snapshot of the same directory continues at `after(cookie)`.
 */
export interface DirectoryListing<N> {
  readonly length: number;
  /** While this is the same object, the entries, their nodes and attributes are the same. Undefined if that is not known. */
  readonly edition?: object | undefined;
  /** Cookies ascend with the index and are unique. Range: 3 to 2^53 - 1. */
  cookieAt(index: number): number;
  nameAt(index: number): ByteString;
  fileidHighAt(index: number): number;
  fileidLowAt(index: number): number;
  /** Index of the first entry with a greater cookie; `length` when there is none. */
  after(cookie: number): number;
  /** Loads nodes and attributes of the entries `from` to `to` (exclusive). Does not fail because of a single entry. */
  load(from: number, to: number): Awaitable<void>;
  /** After `load`: the node of the entry, or undefined when it could not be looked up. */
  nodeAt(index: number): N | undefined;
}

/** FSSTAT, RFC 1813 §3.3.18. Bytes and file counts are at most 2^53 - 1; invarsec is in seconds. */
export interface FsStat {
  readonly totalBytes: number;
  readonly freeBytes: number;
  readonly availableBytes: number;
  readonly totalFiles: number;
  readonly freeFiles: number;
  readonly availableFiles: number;
  readonly invariantSeconds: number;
}

/** The part of FSINFO (RFC 1813 §3.3.19) that the backend decides. The protocol layer adds its size limits. */
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
 * The files behind NFSv3. `N` is the backend's own node type: the protocol layer passes nodes back without reading
 * them. A method may throw (or reject with) `NfsError`. Any other error is a bug and becomes SERVERFAULT. Name
 * arguments have 1 to 255 bytes, without NUL and `/`, and are never `.` or `..`. Buffer arguments (handles, data to
 * write, verifiers) are views of received data: copy them to keep them beyond the call.
 */
export interface NfsBackend<N> {
  /**
   * Returns the node of a file handle, for this caller. Throws BADHANDLE (no handle of this server), STALE (a healthy
   * source reports that the object is gone), ACCES (the caller may not use this export) or JUKEBOX (not known at the
   * moment).
   */
  resolve(handle: Buffer, call: CallContext): Awaitable<N>;
  /** The file handle of a node: at most 64 bytes, a multiple of 4, always the same for the same object. */
  handle(node: N): Buffer;
  /** The fileid of this node in attributes and listings. Never waits. */
  fileid(node: N): Fileid;
  /** The attributes if they are cached, for post_op_attr and directory entries. Never waits. */
  cachedAttributes(node: N): FileAttributes | undefined;
  getAttributes(node: N, call: CallContext): Awaitable<FileAttributes>;
  /** Returns those of the wanted `Access` bits that the caller has. */
  access(node: N, wanted: number, call: CallContext): Awaitable<number>;
  lookup(directory: N, name: ByteString, call: CallContext): Awaitable<N>;
  /** The parent directory. The root of an export is its own parent. */
  parent(node: N): N;
  readlink(node: N, call: CallContext): Awaitable<ByteString>;
  /**
   * Reads up to `target.length` bytes at `offset` (0..2^53 - 1) into `target`. Fewer bytes mean the end of the file.
   * After success the backend must not touch `target` again. After a failure it may still write to it: the buffer is
   * not reused.
   */
  read(node: N, offset: number, target: Buffer, call: CallContext): Awaitable<ReadResult>;
  /**
   * Called when a READ of the node has to wait for earlier READs of the same file. The returned function is called when
   * the wait ends. Used to show what clients wait for.
   */
  readWaits?(node: N, call: CallContext): () => void;
  list(directory: N, call: CallContext): Awaitable<DirectoryListing<N>>;
  fsStat(node: N, call: CallContext): Awaitable<FsStat>;
  fsInfo(node: N, call: CallContext): Awaitable<FsInfo>;
  pathConf(node: N, call: CallContext): Awaitable<PathConf>;

  /**
   * The procedures that change files. The protocol layer takes wcc_data from `cachedAttributes` before and after.
   * `undefined` for a read-only backend: the procedures resolve the handles, then answer ROFS.
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
  /** Write verifier of 8 bytes (RFC 1813 §3.3.7). It changes when unstable writes may have been lost. */
  readonly writeVerifier: Buffer;
}

/** One entry of EXPORT (MOUNT v3, RFC 1813 Appendix I). */
export interface ExportEntry {
  /** UTF-8 text such as `/dfs`. */
  readonly path: string;
  /** The client rules as shown to clients, such as `10.0.0.0/8`. */
  readonly groups: readonly string[];
}

/** What the MOUNT program needs. Methods throw `MountError`. */
export interface MountBackend {
  exports(): readonly ExportEntry[];
  /** Returns the file handle for a path such as `/dfs` or `/dfs/__all__/Some.Release`, for this caller. */
  mount(path: ByteString, call: CallContext): Awaitable<Buffer>;
  /** A client reports that it has unmounted this path; `*` stands for all its mounts. */
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
