/** Basic data types of NFSv3, RFC 1813 §2.5 and §2.6. */
import { FileType, type FileAttributes, type NfsTime, type SetAttributes } from '../backend.ts';
import {
  byteString,
  type Codec,
  convert,
  type Decoded,
  enumeration,
  fixedOpaque,
  nothing,
  opaque,
  optional,
  struct,
  uint32,
  uint64,
  uint64Number,
  union,
  unionWithDefault,
} from '../xdr/codec.ts';
import type { XdrWriter } from '../xdr/writer.ts';

/** nfs_fh3: opaque data<NFS3_FHSIZE>. */
export const fileHandle = opaque(64);

/** filename3: string<>. Decoded without a bound, so that a name above 255 bytes gets NFS3ERR_NAMETOOLONG, not GARBAGE_ARGS. */
export const fileName = byteString();

/** nfspath3: string<>. */
export const nfsPath = byteString();

/** cookieverf3, createverf3, writeverf3: opaque[8]. */
export const verifier = fixedOpaque(8);

/** ftype3. */
export const fileType = enumeration(FileType);

/** nfstime3. */
export const nfsTime: Codec<NfsTime> = struct({ seconds: uint32, nanoseconds: uint32 });

/** fattr3: 84 bytes. specdata3, fsid and fileid are written as two 32-bit halves. */
export const fileAttributes: Codec<FileAttributes> = struct({
  type: fileType,
  mode: uint32,
  nlink: uint32,
  uid: uint32,
  gid: uint32,
  size: uint64Number,
  used: uint64Number,
  rdevMajor: uint32,
  rdevMinor: uint32,
  fsidHigh: uint32,
  fsidLow: uint32,
  fileidHigh: uint32,
  fileidLow: uint32,
  atime: nfsTime,
  mtime: nfsTime,
  ctime: nfsTime,
});
export const FILE_ATTRIBUTES_SIZE = 84;

const TWO_32 = 0x1_0000_0000;

/**
 * Encodes fattr3 by hand, with the same bytes as the declaration above: nearly every reply and each directory entry has
 * one.
 */
export function putFileAttributes(writer: XdrWriter, a: FileAttributes): void {
  writer.ensure(FILE_ATTRIBUTES_SIZE);
  const { view } = writer.slab;
  const at = writer.offset;
  view.setUint32(at, a.type);
  view.setUint32(at + 4, a.mode);
  view.setUint32(at + 8, a.nlink);
  view.setUint32(at + 12, a.uid);
  view.setUint32(at + 16, a.gid);
  view.setUint32(at + 20, Math.floor(a.size / TWO_32));
  view.setUint32(at + 24, a.size >>> 0);
  view.setUint32(at + 28, Math.floor(a.used / TWO_32));
  view.setUint32(at + 32, a.used >>> 0);
  view.setUint32(at + 36, a.rdevMajor);
  view.setUint32(at + 40, a.rdevMinor);
  view.setUint32(at + 44, a.fsidHigh);
  view.setUint32(at + 48, a.fsidLow);
  view.setUint32(at + 52, a.fileidHigh);
  view.setUint32(at + 56, a.fileidLow);
  view.setUint32(at + 60, a.atime.seconds);
  view.setUint32(at + 64, a.atime.nanoseconds);
  view.setUint32(at + 68, a.mtime.seconds);
  view.setUint32(at + 72, a.mtime.nanoseconds);
  view.setUint32(at + 76, a.ctime.seconds);
  view.setUint32(at + 80, a.ctime.nanoseconds);
  writer.offset = at + FILE_ATTRIBUTES_SIZE;
}

/** post_op_attr. */
export const postOpAttr = optional(fileAttributes);

/** Encodes post_op_attr by hand. */
export function putPostOpAttr(writer: XdrWriter, attributes: FileAttributes | undefined): void {
  writer.bool(attributes !== undefined);
  if (attributes !== undefined) putFileAttributes(writer, attributes);
}

/** wcc_attr. */
export const wccAttr = struct({ size: uint64Number, mtime: nfsTime, ctime: nfsTime });
export type WccAttr = Decoded<typeof wccAttr>;

/** wcc_data: pre_op_attr and post_op_attr. */
export const wccData = struct({ before: optional(wccAttr), after: postOpAttr });
export type WccData = Decoded<typeof wccData>;

/** post_op_fh3. */
export const postOpHandle = optional(fileHandle);

const setTimeWire = union('how', { 0: nothing, 1: nothing, 2: struct({ time: nfsTime }) });
type SetTime = NfsTime | 'server' | undefined;

/** set_atime and set_mtime: time_how and its time. */
const setTime = convert(
  setTimeWire,
  (wire): SetTime => (wire.how === 2 ? wire.time : wire.how === 1 ? 'server' : undefined),
  (time): Decoded<typeof setTimeWire> =>
    time === undefined ? { how: 0 } : time === 'server' ? { how: 1 } : { how: 2, time },
);

const setAttributesWire = struct({
  mode: optional(uint32),
  uid: optional(uint32),
  gid: optional(uint32),
  size: optional(uint64),
  atime: setTime,
  mtime: setTime,
});

/** sattr3. */
export const setAttributes: Codec<SetAttributes> = convert(
  setAttributesWire,
  ({ mode, uid, gid, size, atime, mtime }): SetAttributes => ({
    ...(mode !== undefined && { mode: mode & 0o7777 }),
    ...(uid !== undefined && { uid }),
    ...(gid !== undefined && { gid }),
    ...(size !== undefined && { size }),
    ...(atime !== undefined && { atime }),
    ...(mtime !== undefined && { mtime }),
  }),
  ({ mode, uid, gid, size, atime, mtime }) => ({ mode, uid, gid, size, atime, mtime }),
);

/** diropargs3. */
export const directoryOperation = struct({ directory: fileHandle, name: fileName });

/** The failure body of most procedures: the object's or directory's attributes. */
export const failedWithAttributes = struct({ attributes: postOpAttr });

/** The failure body of procedures that change one object or directory. */
export const failedWithWcc = struct({ wcc: wccData });

/** The results of CREATE, MKDIR, SYMLINK and MKNOD, RFC 1813 §3.3.8 to §3.3.11. */
export const created = struct({ handle: postOpHandle, attributes: postOpAttr, wcc: wccData });

/** The results of a procedure: nfsstat3, then the success body, or the failure body for any other status. */
export function results<Ok extends object, Failed extends object>(ok: Codec<Ok>, failed: Codec<Failed>) {
  return unionWithDefault('status', { 0: ok }, failed);
}
