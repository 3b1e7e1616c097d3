/** Directory entries of every information class ([MS-FSCC] 2.4), written straight into the reply. */
import { IO_REPARSE_TAG_SYMLINK } from '../error-response.ts';
import { FileAttribute } from '../constants.ts';
import { viewOf } from '../struct.ts';

/** The data of one entry. `add` reads all fields at once, so the object may be reused for the next entry. */
export interface DirectoryEntry {
  readonly name: string;
  readonly fileIndex: number;
  readonly id: bigint;
  readonly creationTime: bigint;
  readonly lastAccessTime: bigint;
  readonly lastWriteTime: bigint;
  readonly changeTime: bigint;
  readonly endOfFile: number;
  readonly allocationSize: number;
  /** FILE_ATTRIBUTE_* as on the wire. */
  readonly attributes: number;
  readonly eaSize: number;
  /** For Finder entries only: the rights that an open would get, and the mode with the file type bits. */
  readonly maximalAccess: number;
  readonly unixMode: number;
  /** For the POSIX class only: link count, reparse tag, mode, owner and group. */
  readonly posix: Buffer;
}

/** The reply buffer and its DataView. */
interface Target {
  readonly bytes: Buffer;
  readonly view: DataView;
}

interface EntryLayout {
  readonly section: string;
  /** Offset of the name in bytes. */
  readonly fixed: number;
  /** Writes the fields that only this class has. */
  readonly extra?: (entry: DirectoryEntry, target: Target, at: number) => void;
  readonly write?: (entry: DirectoryEntry, target: Target, at: number) => void;
  readonly size?: (entry: DirectoryEntry) => number;
}

const reparseTag = (entry: DirectoryEntry): number =>
  (entry.attributes & FileAttribute.REPARSE_POINT) === 0 ? 0 : IO_REPARSE_TAG_SYMLINK;
/** In these classes EaSize holds the reparse tag of a link ([MS-FSCC] 2.4.17). */
const eaOrTag = (entry: DirectoryEntry): number => reparseTag(entry) || entry.eaSize;

const size64 = (view: DataView, value: number, at: number): void => {
  view.setUint32(at, value >>> 0, true);
  view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
};

function common(entry: DirectoryEntry, { view }: Target, at: number): void {
  view.setUint32(at + 4, entry.fileIndex, true);
  stamps(entry, view, at + 8);
  view.setUint32(at + 56, entry.attributes, true);
  view.setUint32(at + 60, 2 * entry.name.length, true);
}

function stamps(entry: DirectoryEntry, view: DataView, at: number): void {
  view.setBigUint64(at, entry.creationTime, true);
  view.setBigUint64(at + 8, entry.lastAccessTime, true);
  view.setBigUint64(at + 16, entry.lastWriteTime, true);
  view.setBigUint64(at + 24, entry.changeTime, true);
  size64(view, entry.endOfFile, at + 32);
  size64(view, entry.allocationSize, at + 40);
}

function noShortName(entry: DirectoryEntry, { bytes, view }: Target, at: number): void {
  view.setUint32(at + 64, eaOrTag(entry), true);
  bytes.fill(0, at + 68, at + 94);
}

function extended(entry: DirectoryEntry, { view }: Target, at: number): void {
  view.setUint32(at + 64, entry.eaSize, true);
  view.setUint32(at + 68, reparseTag(entry), true);
  view.setBigUint64(at + 72, entry.id, true);
  view.setBigUint64(at + 80, 0n, true);
}

const POSIX_FIXED = 80;

function writePosix(entry: DirectoryEntry, { bytes, view }: Target, at: number): void {
  const { posix } = entry;
  view.setUint32(at + 4, 0, true);
  stamps(entry, view, at + 8);
  view.setUint32(at + 56, entry.attributes, true);
  view.setBigUint64(at + 60, entry.id, true);
  bytes.fill(0, at + 68, at + 76);
  posix.copy(bytes, at + 76);
  const name = at + 76 + posix.length;
  view.setUint32(name, 2 * entry.name.length, true);
  bytes.write(entry.name, name + 4, 'utf16le');
}

const ID_BOTH = 37;

/** By FileInformationClass. */
const layouts = new Map<number, EntryLayout>([
  [1, { section: '[MS-FSCC] 2.4.10 FileDirectoryInformation', fixed: 64 }],
  [
    2,
    {
      section: '[MS-FSCC] 2.4.14 FileFullDirectoryInformation',
      fixed: 68,
      extra: (entry, { view }, at) => view.setUint32(at + 64, eaOrTag(entry), true),
    },
  ],
  [3, { section: '[MS-FSCC] 2.4.8 FileBothDirectoryInformation', fixed: 94, extra: noShortName }],
  [
    12,
    {
      section: '[MS-FSCC] 2.4.28 FileNamesInformation',
      fixed: 12,
      write: (entry, { bytes, view }, at) => {
        view.setUint32(at + 4, entry.fileIndex, true);
        view.setUint32(at + 8, 2 * entry.name.length, true);
        bytes.write(entry.name, at + 12, 'utf16le');
      },
    },
  ],
  [
    ID_BOTH,
    {
      section: '[MS-FSCC] 2.4.19 FileIdBothDirectoryInformation',
      fixed: 104,
      extra: (entry, target, at) => {
        noShortName(entry, target, at);
        target.view.setUint16(at + 94, 0, true);
        target.view.setBigUint64(at + 96, entry.id, true);
      },
    },
  ],
  [
    38,
    {
      section: '[MS-FSCC] 2.4.20 FileIdFullDirectoryInformation',
      fixed: 80,
      extra: (entry, { view }, at) => {
        view.setUint32(at + 64, eaOrTag(entry), true);
        view.setUint32(at + 68, 0, true);
        view.setBigUint64(at + 72, entry.id, true);
      },
    },
  ],
  [60, { section: '[MS-FSCC] 2.4.22 FileIdExtdDirectoryInformation', fixed: 88, extra: extended }],
  [
    63,
    {
      section: '[MS-FSCC] 2.4.23 FileIdExtdBothDirectoryInformation',
      fixed: 114,
      extra: (entry, target, at) => {
        extended(entry, target, at);
        target.bytes.fill(0, at + 88, at + 114);
      },
    },
  ],
  [
    0x64,
    {
      section: 'SMB3 POSIX extensions, FilePosixInformation',
      fixed: POSIX_FIXED,
      write: writePosix,
      size: (entry) => POSIX_FIXED + entry.posix.length + 2 * entry.name.length,
    },
  ],
]);

/**
 * FileIdBothDirectoryInformation for macOS: fields that other clients do not need hold rights, resource fork, Finder
 * info and mode.
 */
const finderLayout: EntryLayout = {
  section: 'macOS, kAAPL_SUPPORTS_READ_DIR_ATTR',
  fixed: 104,
  extra: (entry, { bytes, view }, at) => {
    view.setUint32(at + 64, entry.maximalAccess, true);
    bytes.fill(0, at + 68, at + 94);
    view.setUint16(at + 94, entry.unixMode, true);
    view.setBigUint64(at + 96, entry.id, true);
  },
};

/** Collects entries in a buffer of a fixed size, each at a multiple of 8. */
export class DirectoryEntries {
  readonly #layout: EntryLayout;
  readonly #target: Target;
  #last = -1;
  #end = 0;

  private constructor(layout: EntryLayout, bytes: Buffer) {
    this.#layout = layout;
    this.#target = { bytes, view: viewOf(bytes) };
  }

  /** Returns undefined when the information class is not one for directories. */
  static of(informationClass: number, target: Buffer, forFinder = false): DirectoryEntries | undefined {
    const isForFinder = forFinder && informationClass === ID_BOTH;
    const layout = isForFinder ? finderLayout : layouts.get(informationClass);
    return layout && new DirectoryEntries(layout, target);
  }

  /** Smallest size of an entry in bytes. */
  get fixedSize(): number {
    return this.#layout.fixed;
  }

  get length(): number {
    return this.#end;
  }

  get isEmpty(): boolean {
    return this.#last < 0;
  }

  /** Returns false and changes nothing when the entry does not fit. */
  add(entry: DirectoryEntry): boolean {
    const layout = this.#layout;
    const at = (this.#end + 7) & ~7;
    const size = layout.size?.(entry) ?? layout.fixed + 2 * entry.name.length;
    const { bytes, view } = this.#target;
    if (at + size > bytes.length) return false;
    for (let gap = this.#end; gap < at; gap++) bytes[gap] = 0;
    view.setUint32(at, 0, true);
    if (layout.write) layout.write(entry, this.#target, at);
    else {
      common(entry, this.#target, at);
      layout.extra?.(entry, this.#target, at);
      bytes.write(entry.name, at + layout.fixed, 'utf16le');
    }
    if (this.#last >= 0) view.setUint32(this.#last, at - this.#last, true);
    this.#last = at;
    this.#end = at + size;
    return true;
  }
}
