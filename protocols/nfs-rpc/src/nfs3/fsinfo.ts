import { MAX_TRANSFER, PREFERRED_DIRECTORY_READ } from '../limits.ts';
import { chain } from '../rpc/awaitable.ts';
import { struct, uint32, uint64Number } from '../xdr/codec.ts';
import { procedure } from './procedure.ts';
import { failedWithAttributes, fileHandle, nfsTime, postOpAttr } from './wire.ts';

/**
 * Procedure 19, RFC 1813 §3.3.19.
 * ```
 * struct FSINFO3args { nfs_fh3 fsroot; };
 * struct FSINFO3resok {
 *   post_op_attr obj_attributes;
 *   uint32 rtmax; uint32 rtpref; uint32 rtmult; uint32 wtmax; uint32 wtpref; uint32 wtmult; uint32 dtpref;
 *   size3 maxfilesize; nfstime3 time_delta; uint32 properties;
 * };
 * struct FSINFO3resfail { post_op_attr obj_attributes; };
 * ```
 */
export const fsinfoShape = {
  name: 'FSINFO',
  args: struct({ root: fileHandle }),
  ok: struct({
    attributes: postOpAttr,
    readMaximum: uint32,
    readPreferred: uint32,
    readMultiple: uint32,
    writeMaximum: uint32,
    writePreferred: uint32,
    writeMultiple: uint32,
    directoryPreferred: uint32,
    maxFileSize: uint64Number,
    timeDelta: nfsTime,
    properties: uint32,
  }),
  failed: failedWithAttributes,
};

/** FSF3_LINK, FSF3_SYMLINK, FSF3_HOMOGENEOUS, FSF3_CANSETTIME. */
const Properties = { link: 0x01, symlink: 0x02, homogeneous: 0x08, canSetTime: 0x10 } as const;
const PREFERRED_MULTIPLE = 4096;

export const fsinfo = procedure(
  fsinfoShape,
  (operation) => ({ attributes: operation.attributes() }),
  (operation, { root }) =>
    chain(operation.resolve(root), (node) =>
      chain(operation.backend.fsInfo(node, operation.call), (info) => ({
        attributes: operation.attributes(),
        readMaximum: MAX_TRANSFER,
        readPreferred: MAX_TRANSFER,
        readMultiple: PREFERRED_MULTIPLE,
        writeMaximum: MAX_TRANSFER,
        writePreferred: MAX_TRANSFER,
        writeMultiple: PREFERRED_MULTIPLE,
        directoryPreferred: PREFERRED_DIRECTORY_READ,
        maxFileSize: info.maxFileSize,
        timeDelta: info.timeDelta,
        properties:
          (info.hardLinks ? Properties.link : 0) |
          (info.symlinks ? Properties.symlink : 0) |
          (info.homogeneous ? Properties.homogeneous : 0) |
          (info.canSetTime ? Properties.canSetTime : 0),
      })),
    ),
);
