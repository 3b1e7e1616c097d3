/**
 * What the server needs from the files: the interface that a user of this library implements.
 *
 * The server handles the protocol: share modes, byte-range locks, oplocks and leases, delete on close, durable handles,
 * change-notify buffering, and access checks against the security descriptor. A backend keeps objects, names, bytes and
 * attributes. A method may return a value or a promise.
 */
import type { NtStatus } from './wire/status.ts';

export type Awaitable<T> = T | Promise<T>;

/** 100-nanosecond intervals since 1601-01-01 (FILETIME, [MS-DTYP] 2.3.3). */
export type FileTime = bigint;

export type NodeKind = 'file' | 'directory' | 'symlink';

/** Attributes of one object. `N` identifies the object; this is its current state. */
export interface NodeAttributes {
  readonly kind: NodeKind;
  /**
   * The value of FileInternalInformation, QFid, IndexNumber and directory FileId. Not 0, unique in the share, and never
   * changes for the same object.
   */
  readonly id: bigint;
  /** Bytes, at most 2^53 - 1. */
  readonly size: number;
  readonly allocationSize: number;
  /** At least 1. */
  readonly links: number;
  readonly creationTime: FileTime;
  readonly lastAccessTime: FileTime;
  readonly lastWriteTime: FileTime;
  readonly changeTime: FileTime;
  /** FILE_ATTRIBUTE_* bits ([MS-FSCC] 2.6) that the backend stores. The server adds DIRECTORY and REPARSE_POINT from `kind`. */
  readonly dosAttributes: number;
  /** POSIX permission bits (0..0o7777), owner and group: for default security descriptors and the POSIX extensions. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

export interface SetAttributes {
  readonly creationTime?: FileTime;
  readonly lastAccessTime?: FileTime;
  readonly lastWriteTime?: FileTime;
  readonly changeTime?: FileTime;
  readonly dosAttributes?: number;
  readonly mode?: number;
}

/** An ordered, immutable snapshot of a directory, without `.` and `..`. Order and indexes are deterministic. */
export interface DirectoryListing<N> {
  readonly length: number;
  nameAt(index: number): string;
  /** The place of the entry in the order: at most 512 characters, with the same meaning in every process. */
  placeAt(index: number): string;
  /** Index of the first entry after that place, whether or not an entry is still there. */
  indexAfter(place: string): number;
  /** Loads nodes and attributes of the entries `from` to `to` (exclusive). Does not fail because of a single entry. */
  load(from: number, to: number): Awaitable<void>;
  /** After `load`: node and attributes of the entry, or undefined when it could not be looked up. */
  nodeAt(index: number): N | undefined;
  attributesAt(index: number): NodeAttributes | undefined;
}

/** Totals for the filesystem information classes ([MS-FSCC] 2.5). Each at most 2^53 - 1 bytes. */
export interface VolumeSpace {
  readonly totalBytes: number;
  readonly freeBytes: number;
  readonly availableBytes: number;
}

export interface VolumeInfo {
  readonly label: string;
  /** Unsigned 32 bit. */
  readonly serial: number;
  readonly creationTime: FileTime;
  /** Shown to clients. Most of them expect `NTFS`. */
  readonly filesystemName: string;
}

/** Kinds of change: FILE_ACTION_* of [MS-FSCC] 2.7.1. */
export type ChangeAction = 'added' | 'removed' | 'modified' | 'renamed-old' | 'renamed-new';

export interface ChangeEvent<N> {
  /** The directory that holds the name. */
  readonly directory: N;
  readonly name: string;
  readonly action: ChangeAction;
  /** The changed object, if known. */
  readonly node: N | undefined;
  /**
   * What changed, as bits of a completion filter ([MS-SMB2] 2.2.35). Default: for a change of names, the bit for the
   * kind of `node`; for a modification, attributes, size and times.
   */
  readonly filter?: number;
  /** The call that made the change, if the backend knows it. The cache of its client needs no break. */
  readonly cause?: CallContext | undefined;
}

/** The caller, after authentication and the share's mapping. */
export interface Caller {
  readonly userName: string;
  readonly guest: boolean;
  /** IPv4 or IPv6 text of the client. */
  readonly address: string;
}

/** The signal aborts when the result is no longer needed (CANCEL, closed connection), so that the backend can stop. */
export interface CallContext {
  readonly caller: Caller;
  readonly signal: AbortSignal;
  /** Id of the client's own lease on the directory, as the client named it ([MS-SMB2] 2.2.13.2.10, ParentLeaseKey). */
  readonly parentLease?: string | undefined;
}

/**
 * One opened file or directory. Opens of the same node may share resources. When the backend loses its descriptor (a
 * remount), it must get a new one itself; the open stays valid.
 */
export interface OpenNode<N> {
  readonly node: N;
  /**
   * Reads up to `target.length` bytes at `offset` into `target`. Fewer bytes only at the end of the file, 0 beyond it.
   * After a rejection the backend may still write to the target, so the server does not reuse it.
   */
  read(offset: number, target: Buffer, call: CallContext): Awaitable<number>;
  /** Releases the resources of this open. Never fails. */
  close(): void;
}

/**
 * One share. `N` is the backend's node type. Lookups of the same object return the same reference while any is held.
 * Methods throw `StatusError` for expected failures. Any other error is a bug and becomes INTERNAL_ERROR.
 */
export interface ShareBackend<N> {
  readonly volume: VolumeInfo;
  readonly root: N;
  /**
   * Names have 1 to 255 UTF-16 units, no NUL and no `/`, and are not `.` or `..`. An exact match comes first. Without
   * `caseSensitive`, then the first entry in listing order with the same fold (`foldName`).
   */
  lookup(directory: N, name: string, caseSensitive: boolean, call: CallContext): Awaitable<N | undefined>;
  /**
   * Returns the object with that id, if known; never waits. Without this method, clients cannot ask for the path of an
   * id (macOS does).
   */
  nodeById?(id: bigint): N | undefined;
  /** The parent directory and the name in it; undefined for the root. */
  parent(node: N): { readonly directory: N; readonly name: string } | undefined;
  attributes(node: N, call: CallContext): Awaitable<NodeAttributes>;
  /** The attributes if they are cached; never waits. */
  cachedAttributes(node: N): NodeAttributes | undefined;
  list(directory: N, call: CallContext): Awaitable<DirectoryListing<N>>;
  open(node: N, access: { readonly write: boolean }, call: CallContext): Awaitable<OpenNode<N>>;
  readlink(node: N, call: CallContext): Awaitable<string>;
  space(call: CallContext): Awaitable<VolumeSpace>;
  /** How many parts of one READ the server may request at the same time. Default: 1. */
  readonly readsAtOnce?: number;
  /** Reports changes in `directory` (with `recursive`, also below it) until the returned function is called. */
  watch(directory: N, recursive: boolean, listener: (event: ChangeEvent<N>) => void): () => void;
  /** The methods that change files; undefined on a read-only share. */
  readonly changes: ShareChanges<N> | undefined;
}

export interface CreateOptions {
  readonly kind: 'file' | 'directory';
  readonly dosAttributes: number;
  readonly mode?: number;
}

export interface ShareChanges<N> {
  create(directory: N, name: string, options: CreateOptions, call: CallContext): Awaitable<N>;
  write(open: OpenNode<N>, offset: number, data: Buffer, call: CallContext): Awaitable<void>;
  /** Sets the end of file: cuts the file, or fills it with zeros. */
  truncate(node: N, size: number, call: CallContext): Awaitable<void>;
  setAttributes(node: N, wanted: SetAttributes, call: CallContext): Awaitable<void>;
  /** With `replace`, replaces an existing target file. The server has checked share modes. */
  rename(node: N, directory: N, name: string, replace: boolean, call: CallContext): Awaitable<void>;
  link(node: N, directory: N, name: string, replace: boolean, call: CallContext): Awaitable<void>;
  /** Removes a file, or a directory that must be empty (DIRECTORY_NOT_EMPTY). */
  remove(node: N, call: CallContext): Awaitable<void>;
  flush(open: OpenNode<N>, call: CallContext): Awaitable<void>;
  /** Optional stores. Without one, the server answers NOT_SUPPORTED. */
  readonly securityDescriptors?: BlobStore<N>;
  readonly extendedAttributes?: ExtendedAttributeStore<N>;
  /** Alternate data streams. Each is a separate node of its file, with kind `file`. */
  readonly streams?: StreamStore<N>;
  /** FILE_ATTRIBUTE_COMPRESSED can be set. Whether the data is compressed is up to the backend. */
  readonly compresses?: boolean;
  /** Holes of sparse files. Without this store, zeros are written and the whole file counts as allocated. */
  readonly holes?: HoleStore<N>;
}

/** A range of bytes of a file. */
export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

export interface HoleStore<N> {
  /** The allocated parts of `range`, in order, up to the end of the file. */
  allocated(node: N, range: ByteRange): Awaitable<readonly ByteRange[]>;
  /** Makes `range` read as zeros and frees its space as far as possible. */
  punch(node: N, range: ByteRange): Awaitable<void>;
}

export interface BlobStore<N> {
  get(node: N): Awaitable<Buffer | undefined>;
  set(node: N, value: Buffer): Awaitable<void>;
}

export interface ExtendedAttributeStore<N> {
  list(
    node: N,
  ): Awaitable<readonly { readonly name: string; readonly flags: number; readonly value: Buffer }[]>;
  set(node: N, name: string, flags: number, value: Buffer): Awaitable<void>;
}

export interface StreamStore<N> {
  /** Without the unnamed stream. */
  list(
    node: N,
  ): Awaitable<readonly { readonly name: string; readonly size: number; readonly allocationSize: number }[]>;
  lookup(node: N, name: string): Awaitable<N | undefined>;
  create(node: N, name: string): Awaitable<N>;
  /** The file of a stream node and the stream's name; undefined when the node is no stream. */
  owner(stream: N): { readonly node: N; readonly name: string } | undefined;
  remove(stream: N): Awaitable<void>;
  rename(stream: N, name: string, replace: boolean): Awaitable<void>;
}

/** Thrown by `read` to ask for another try with another buffer: the first buffer may still be written to. */
export class BufferLostError extends Error {
  override readonly name = 'BufferLostError';
}

/** An expected failure, with the status that goes on the wire ([MS-ERREF] 2.3). */
export class StatusError extends Error {
  override readonly name = 'StatusError';
  readonly status: NtStatus;
  constructor(status: NtStatus, options?: ErrorOptions & { message?: string }) {
    super(options?.message ?? `NT status 0x${status.toString(16).padStart(8, '0')}`, options);
    this.status = status;
  }
}
