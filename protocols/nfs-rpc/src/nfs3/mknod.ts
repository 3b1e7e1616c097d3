import { FileType, NfsError, type SpecialNode } from '../backend.ts';
import { NfsStatus } from '../status.ts';
import { type Codec, convert, nothing, struct, uint32, union } from '../xdr/codec.ts';
import { checkNewName } from './names.ts';
import { procedure } from './procedure.ts';
import { created, directoryOperation, failedWithWcc, setAttributes } from './wire.ts';

const device = struct({ attributes: setAttributes, rdevMajor: uint32, rdevMinor: uint32 });
const pipe = struct({ attributes: setAttributes });

/** mknoddata3. Types without an arm (regular, directory, symlink) carry no data. */
export const mknodData: Codec<SpecialNode> = convert(
  union('type', {
    [FileType.regular]: nothing,
    [FileType.directory]: nothing,
    [FileType.symlink]: nothing,
    [FileType.block]: device,
    [FileType.character]: device,
    [FileType.socket]: pipe,
    [FileType.fifo]: pipe,
  }),
  (wire): SpecialNode => ({ attributes: {}, rdevMajor: 0, rdevMinor: 0, ...wire }),
  (node) => node,
);

/**
 * Procedure 11, RFC 1813 §3.3.11.
 * ```
 * struct devicedata3 { sattr3 dev_attributes; specdata3 spec; };
 * union mknoddata3 switch (ftype3 type) {
 *   case NF3CHR: case NF3BLK: devicedata3 device;
 *   case NF3SOCK: case NF3FIFO: sattr3 pipe_attributes;
 *   default: void;
 * };
 * struct MKNOD3args { diropargs3 where; mknoddata3 what; };
 * struct MKNOD3resok { post_op_fh3 obj; post_op_attr obj_attributes; wcc_data dir_wcc; };
 * struct MKNOD3resfail { wcc_data dir_wcc; };
 * ```
 */
export const mknodShape = {
  name: 'MKNOD',
  args: struct({ where: directoryOperation, what: mknodData }),
  ok: created,
  failed: failedWithWcc,
};

const special = new Set<FileType>([FileType.block, FileType.character, FileType.socket, FileType.fifo]);

export const mknod = procedure(
  mknodShape,
  (operation) => ({ wcc: operation.wcc() }),
  async (operation, { where, what }) => {
    const directory = await operation.resolveForChange(where.directory);
    const changes = operation.changes();
    checkNewName(where.name);
    if (!special.has(what.type)) throw new NfsError(NfsStatus.BADTYPE);
    return operation.created(await changes.makeNode(directory, where.name, what, operation.call));
  },
);
