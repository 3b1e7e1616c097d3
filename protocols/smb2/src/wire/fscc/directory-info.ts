/** Directory entries of every information class ([MS-FSCC] 2.4), written straight into the reply. */
import { IO_REPARSE_TAG_SYMLINK } from '../error-response.ts';
import { FileAttribute } from '../constants.ts';
import { align } from '../struct.ts';

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
  /** Links, reparse tag, mode, owner and group: the POSIX class only. */
  readonly posix: () => Buffer;
}

interface EntryLayout {
  readonly section: string;
  /** Offset of the name. */
  readonly fixed: number;
  /** Writes what the classes do not have in common. */
  readonly extra?: (entry: DirectoryEntry, target: Buffer, at: number) => void;
  readonly write?: (entry: DirectoryEntry, target: Buffer, at: number) => void;
  readonly size?: (entry: DirectoryEntry) => number;
}

const reparseTag = (entry: DirectoryEntry): number =>
  (entry.attributes & FileAttribute.REPARSE_POINT) === 0 ? 0 : IO_REPARSE_TAG_SYMLINK;
/** In these classes the reparse tag travels in EaSize ([MS-FSCC] 2.4.17). */
const eaOrTag = (entry: DirectoryEntry): number => reparseTag(entry) || entry.eaSize;

const size64 = (target: Buffer, value: number, at: number): void => {
  target.writeUInt32LE(value >>> 0, at);
  target.writeUInt32LE(Math.floor(value / 2 ** 32), at + 4);
};

function common(entry: DirectoryEntry, target: Buffer, at: number): void {
  target.writeUInt32LE(entry.fileIndex, at + 4);
  stamps(entry, target, at + 8);
  target.writeUInt32LE(entry.attributes, at + 56);
  target.writeUInt32LE(2 * entry.name.length, at + 60);
}

function stamps(entry: DirectoryEntry, target: Buffer, at: number): void {
  target.writeBigUInt64LE(entry.creationTime, at);
  target.writeBigUInt64LE(entry.lastAccessTime, at + 8);
  target.writeBigUInt64LE(entry.lastWriteTime, at + 16);
  target.writeBigUInt64LE(entry.changeTime, at + 24);
  size64(target, entry.endOfFile, at + 32);
  size64(target, entry.allocationSize, at + 40);
}

function noShortName(entry: DirectoryEntry, target: Buffer, at: number): void {
  target.writeUInt32LE(eaOrTag(entry), at + 64);
  target.fill(0, at + 68, at + 94);
}

function extended(entry: DirectoryEntry, target: Buffer, at: number): void {
  target.writeUInt32LE(entry.eaSize, at + 64);
  target.writeUInt32LE(reparseTag(entry), at + 68);
  target.writeBigUInt64LE(entry.id, at + 72);
  target.writeBigUInt64LE(0n, at + 80);
}

const POSIX_FIXED = 80;

function writePosix(entry: DirectoryEntry, target: Buffer, at: number): void {
  const posix = entry.posix();
  target.writeUInt32LE(0, at + 4);
  stamps(entry, target, at + 8);
  target.writeUInt32LE(entry.attributes, at + 56);
  target.writeBigUInt64LE(entry.id, at + 60);
  target.fill(0, at + 68, at + 76);
  posix.copy(target, at + 76);
  const name = at + 76 + posix.length;
  target.writeUInt32LE(2 * entry.name.length, name);
  target.write(entry.name, name + 4, 'utf16le');
}

/** By FileInformationClass. */
const layouts = new Map<number, EntryLayout>([
  [1, { section: '[MS-FSCC] 2.4.10 FileDirectoryInformation', fixed: 64 }],
  [
    2,
    {
      section: '[MS-FSCC] 2.4.14 FileFullDirectoryInformation',
      fixed: 68,
      extra: (entry, target, at) => void target.writeUInt32LE(eaOrTag(entry), at + 64),
    },
  ],
  [3, { section: '[MS-FSCC] 2.4.8 FileBothDirectoryInformation', fixed: 94, extra: noShortName }],
  [
    12,
    {
      section: '[MS-FSCC] 2.4.28 FileNamesInformation',
      fixed: 12,
      write: (entry, target, at) => {
        target.writeUInt32LE(entry.fileIndex, at + 4);
        target.writeUInt32LE(2 * entry.name.length, at + 8);
        target.write(entry.name, at + 12, 'utf16le');
      },
    },
  ],
  [
    37,
    {
      section: '[MS-FSCC] 2.4.19 FileIdBothDirectoryInformation',
      fixed: 104,
      extra: (entry, target, at) => {
        noShortName(entry, target, at);
        target.writeUInt16LE(0, at + 94);
        target.writeBigUInt64LE(entry.id, at + 96);
      },
    },
  ],
  [
    38,
    {
      section: '[MS-FSCC] 2.4.20 FileIdFullDirectoryInformation',
      fixed: 80,
      extra: (entry, target, at) => {
        target.writeUInt32LE(eaOrTag(entry), at + 64);
        target.writeUInt32LE(0, at + 68);
        target.writeBigUInt64LE(entry.id, at + 72);
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
        target.fill(0, at + 88, at + 114);
      },
    },
  ],
  [
    0x64,
    {
      section: 'SMB3 POSIX extensions, FilePosixInformation',
      fixed: POSIX_FIXED,
      write: writePosix,
      size: (entry) => POSIX_FIXED + entry.posix().length + 2 * entry.name.length,
    },
  ],
]);

/** Collects entries in a buffer of a fixed size, each at a multiple of 8. */
export class DirectoryEntries {
  readonly #layout: EntryLayout;
  readonly #target: Buffer;
  #last = -1;
  #end = 0;

  private constructor(layout: EntryLayout, target: Buffer) {
    this.#layout = layout;
    this.#target = target;
  }

  /** Undefined for an information class that lists no directories. */
  static of(informationClass: number, target: Buffer): DirectoryEntries | undefined {
    const layout = layouts.get(informationClass);
    return layout && new DirectoryEntries(layout, target);
  }

  /** Bytes an entry takes at least. */
  get fixedSize(): number {
    return this.#layout.fixed;
  }

  get length(): number {
    return this.#end;
  }

  get isEmpty(): boolean {
    return this.#last < 0;
  }

  /** Returns false, having done nothing, when the entry does not fit. */
  add(entry: DirectoryEntry): boolean {
    const layout = this.#layout;
    const at = align(this.#end, 8);
    const size = layout.size?.(entry) ?? layout.fixed + 2 * entry.name.length;
    const target = this.#target;
    if (at + size > target.length) return false;
    target.fill(0, this.#end, at);
    target.writeUInt32LE(0, at);
    if (layout.write) layout.write(entry, target, at);
    else {
      common(entry, target, at);
      layout.extra?.(entry, target, at);
      target.write(entry.name, at + layout.fixed, 'utf16le');
    }
    if (this.#last >= 0) target.writeUInt32LE(at - this.#last, this.#last);
    this.#last = at;
    this.#end = at + size;
    return true;
  }
}
