/** Objects of the in-memory share. */
import type { FileTime, NodeAttributes, NodeKind } from '../backend.ts';
import { FileAttribute } from '../wire/constants.ts';
import { roundToCluster, SparseContent, type Budget } from './content.ts';
import { NameTable } from './name-table.ts';

/** One name of an object: a hard link. */
export interface Place {
  readonly directory: MemoryNode;
  readonly name: string;
}

export interface ExtendedAttribute {
  readonly name: string;
  readonly flags: number;
  readonly value: Buffer;
}

/** Attributes that clients may set. DIRECTORY and REPARSE_POINT follow from the kind; NORMAL means none. */
const STORED_ATTRIBUTES =
  FileAttribute.READONLY |
  FileAttribute.HIDDEN |
  FileAttribute.SYSTEM |
  FileAttribute.ARCHIVE |
  FileAttribute.TEMPORARY |
  FileAttribute.SPARSE_FILE |
  FileAttribute.COMPRESSED |
  FileAttribute.OFFLINE |
  FileAttribute.NOT_CONTENT_INDEXED;

export interface NodeInit {
  readonly id: bigint;
  readonly kind: NodeKind;
  readonly time: FileTime;
  readonly budget: Budget;
  readonly dosAttributes: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly target?: string;
  /** The file of an alternate data stream. */
  readonly owner?: MemoryNode;
}

export class MemoryNode {
  readonly id: bigint;
  readonly kind: NodeKind;
  readonly content: SparseContent;
  /** Target of a symbolic link. */
  readonly target: string;
  readonly owner: MemoryNode | undefined;
  readonly entries = new NameTable<MemoryNode>();
  readonly streams = new NameTable<MemoryNode>();
  readonly extendedAttributes = new NameTable<ExtendedAttribute>();
  securityDescriptor: Buffer | undefined;
  creationTime: FileTime;
  lastAccessTime: FileTime;
  lastWriteTime: FileTime;
  changeTime: FileTime;
  mode: number;
  readonly uid: number;
  readonly gid: number;
  /** The name by which the object was last found comes first. Empty for streams, the root and removed objects. */
  places: readonly Place[] = [];
  /** Place of the last removed name. */
  lastPlace: Place | undefined;
  streamName = '';
  removed = false;
  opens = 0;
  private attributeBits = 0;

  constructor(init: NodeInit) {
    this.id = init.id;
    this.kind = init.kind;
    this.content = new SparseContent(init.budget);
    this.target = init.target ?? '';
    this.owner = init.owner;
    this.creationTime = init.time;
    this.lastAccessTime = init.time;
    this.lastWriteTime = init.time;
    this.changeTime = init.time;
    this.mode = init.mode;
    this.uid = init.uid;
    this.gid = init.gid;
    this.dosAttributes = init.dosAttributes;
  }

  get dosAttributes(): number {
    return this.attributeBits;
  }

  set dosAttributes(bits: number) {
    this.attributeBits = bits & STORED_ATTRIBUTES;
  }

  /** The file itself, or the file of a stream. They share times, attributes and id, as on NTFS. */
  get file(): MemoryNode {
    return this.owner ?? this;
  }

  get place(): Place | undefined {
    return this.file.places[0] ?? this.file.lastPlace;
  }

  /** Whether no name leads to the object any more. It exists until its last open is closed. */
  get gone(): boolean {
    return this.removed || (this.owner?.removed ?? false);
  }

  get allocationSize(): number {
    const sparse = (this.file.dosAttributes & FileAttribute.SPARSE_FILE) !== 0;
    return roundToCluster(sparse ? this.content.heldBytes : this.content.size);
  }

  /** The values that `setAttributes` changes, as text for comparison. */
  settable(): string {
    const { creationTime, lastAccessTime, lastWriteTime, dosAttributes, mode } = this;
    return [creationTime, lastAccessTime, lastWriteTime, dosAttributes, mode].join();
  }

  attributes(): NodeAttributes {
    const file = this.file;
    return {
      kind: this.kind,
      id: file.id,
      size: this.kind === 'symlink' ? Buffer.byteLength(this.target) : this.content.size,
      allocationSize: this.allocationSize,
      links: Math.max(1, file.places.length),
      creationTime: file.creationTime,
      lastAccessTime: file.lastAccessTime,
      lastWriteTime: file.lastWriteTime,
      changeTime: file.changeTime,
      dosAttributes: file.dosAttributes,
      mode: file.mode,
      uid: file.uid,
      gid: file.gid,
    };
  }

  /** Frees the memory when the object has neither names nor opens. */
  releaseIfUnused(): void {
    if (this.gone && this.opens === 0) this.content.truncate(0);
    for (const stream of this.streams.values()) stream.releaseIfUnused();
  }
}
