/**
 * What the server needs from whoever owns the files: the interface a user of this library implements.
 *
 * The server itself keeps everything that is protocol: share modes, byte-range locks, oplocks and leases, delete on
 * close, durable handles, change-notify buffering, access checks against the security descriptor. A backend keeps
 * objects, names, bytes and attributes. Methods may answer at once or with a promise.
 */
import type { NtStatus } from './wire/status.ts';

export type Awaitable<T> = T | Promise<T>;

/** 100-nanosecond intervals since 1601-01-01 (FILETIME, [MS-DTYP] 2.3.3). */
export type FileTime = bigint;

export type NodeKind = 'file' | 'directory' | 'symlink';

/** Attributes of one object; `N` is stable identity, this is its state now. */
export interface NodeAttributes {
  readonly kind: NodeKind;
  /**
   * FileInternalInformation, QFid, IndexNumber and directory FileId: one nonzero value, the same for the same object
   * for ever, unique in the share.
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
  /** FILE_ATTRIBUTE_* bits ([MS-FSCC] 2.6) the backend stores; DIRECTORY and REPARSE_POINT follow from `kind`. */
  readonly dosAttributes: number;
  /** POSIX permission bits (0..0o7777), owner and group, for synthesised descriptors and POSIX extensions. */
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

/** One directory as an ordered, immutable snapshot without `.` and `..`; order and indexes are deterministic. */
export interface DirectoryListing<N> {
  readonly length: number;
  nameAt(index: number): string;
  /** Where the entry stands in the order, in at most 512 characters that mean the same to every process. */
  placeAt(index: number): string;
  /** Index of the first entry behind that place, be there an entry at it any more or not. */
  indexAfter(place: string): number;
  /** Makes nodes and attributes of the entries from..to (exclusive) ready. Never fails for single entries. */
  load(from: number, to: number): Awaitable<void>;
  /** After `load`: node and attributes, or undefined when the entry could not be looked at. */
  nodeAt(index: number): N | undefined;
  attributesAt(index: number): NodeAttributes | undefined;
}

/** Totals for the filesystem information classes ([MS-FSCC] 2.5). All at most 2^53 - 1 bytes. */
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
  /** Shown to clients; `NTFS` is what most of them expect. */
  readonly filesystemName: string;
}

/** Kinds of change, as FILE_ACTION_* of [MS-FSCC] 2.7.1 names them. */
export type ChangeAction = 'added' | 'removed' | 'modified' | 'renamed-old' | 'renamed-new';

export interface ChangeEvent<N> {
  /** The directory that holds the name. */
  readonly directory: N;
  readonly name: string;
  readonly action: ChangeAction;
  /** The object itself, when it is known. */
  readonly node: N | undefined;
  /**
   * What changed, as bits of a completion filter ([MS-SMB2] 2.2.35). Without it a change of names concerns the kind of
   * `node` and a modification concerns attributes, size and times.
   */
  readonly filter?: number;
  /** The call that made the change, if it was one and the backend knows which: its client's own cache need not hear of it. */
  readonly cause?: CallContext | undefined;
}

/** Who asks, after authentication and the share's mapping. */
export interface Caller {
  readonly userName: string;
  readonly guest: boolean;
  /** IPv4 or IPv6 text of the client. */
  readonly address: string;
}

/** Lets a backend stop work for which nobody waits any more (CANCEL, a closed connection). */
export interface CallContext {
  readonly caller: Caller;
  readonly signal: AbortSignal;
  /** The lease on the directory that the client names as its own ([MS-SMB2] 2.2.13.2.10, ParentLeaseKey). */
  readonly parentLease?: string | undefined;
}

/**
 * One opened file or directory. Opens of the same node may share whatever lies beneath. A backend that lost its
 * descriptor (a remount) gets a new one by itself; the open goes on.
 */
export interface OpenNode<N> {
  readonly node: N;
  /**
   * Puts up to `target.length` bytes at `offset` into `target`; fewer only at the end of the file, 0 past it. After a
   * rejection the target may still be written to, so it is not used again.
   */
  read(offset: number, target: Buffer, call: CallContext): Awaitable<number>;
  /** Releases what this open holds. Never fails. */
  close(): void;
}

/**
 * One share. `N` is the backend's node type; two lookups of the same object give the same reference as long as anybody
 * holds it. Methods throw `StatusError` for expected failures; anything else is a bug and becomes INTERNAL_ERROR.
 */
export interface ShareBackend<N> {
  readonly volume: VolumeInfo;
  readonly root: N;
  /**
   * Names are NUL-free, without `/`, never empty, `.` or `..`, at most 255 UTF-16 units. Exact match first; unless
   * `caseSensitive`, then the first in listing order with the same fold (`foldName`).
   */
  lookup(directory: N, name: string, caseSensitive: boolean, call: CallContext): Awaitable<N | undefined>;
  /** The object of that id, if it is at hand; never waits. Without it clients cannot ask for the path of an id (macOS does). */
  nodeById?(id: bigint): N | undefined;
  /** The directory above and the name in it; undefined for the root. */
  parent(node: N): { readonly directory: N; readonly name: string } | undefined;
  attributes(node: N, call: CallContext): Awaitable<NodeAttributes>;
  /** Attributes if they are at hand; never waits. */
  cachedAttributes(node: N): NodeAttributes | undefined;
  list(directory: N, call: CallContext): Awaitable<DirectoryListing<N>>;
  open(node: N, access: { readonly write: boolean }, call: CallContext): Awaitable<OpenNode<N>>;
  readlink(node: N, call: CallContext): Awaitable<string>;
  space(call: CallContext): Awaitable<VolumeSpace>;
  /** Pieces of one READ that are worth asking for at the same time; 1 unless given. */
  readonly readsAtOnce?: number;
  /** Tells about changes below `directory` (and all below it when `recursive`) until the returned function is called. */
  watch(directory: N, recursive: boolean, listener: (event: ChangeEvent<N>) => void): () => void;
  /** The changing half; undefined on a read-only share. */
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
  /** Sets the end of file, cutting off or filling with zeros. */
  truncate(node: N, size: number, call: CallContext): Awaitable<void>;
  setAttributes(node: N, wanted: SetAttributes, call: CallContext): Awaitable<void>;
  /** Replaces an existing target file when `replace`; the server has checked share modes. */
  rename(node: N, directory: N, name: string, replace: boolean, call: CallContext): Awaitable<void>;
  link(node: N, directory: N, name: string, replace: boolean, call: CallContext): Awaitable<void>;
  /** Removes a file, or a directory that must be empty (DIRECTORY_NOT_EMPTY). */
  remove(node: N, call: CallContext): Awaitable<void>;
  flush(open: OpenNode<N>, call: CallContext): Awaitable<void>;
  /** Optional stores; a backend without one answers NOT_SUPPORTED through the server. */
  readonly securityDescriptors?: BlobStore<N>;
  readonly extendedAttributes?: ExtendedAttributeStore<N>;
  /** Alternate data streams: each is a node of its own below its file, with kind `file`. */
  readonly streams?: StreamStore<N>;
  /** FILE_ATTRIBUTE_COMPRESSED can be set; whether anything is compressed is the backend's affair. */
  readonly compresses?: boolean;
  /** Holes of files that are marked sparse; without it zeros are written and all of a file counts as allocated. */
  readonly holes?: HoleStore<N>;
}

/** A range of bytes of a file. */
export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

export interface HoleStore<N> {
  /** What of `range` is allocated, in order and without what lies behind the end of the file. */
  allocated(node: N, range: ByteRange): Awaitable<readonly ByteRange[]>;
  /** Makes `range` read as zeros and gives back the space it took, as far as that is possible. */
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
  /** The file a stream node belongs to, with the stream's name; undefined when the node is no stream. */
  owner(stream: N): { readonly node: N; readonly name: string } | undefined;
  remove(stream: N): Awaitable<void>;
  rename(stream: N, name: string, replace: boolean): Awaitable<void>;
}

/** Thrown by `read` when it is to be tried again with another buffer: the first may still be written to. */
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
