import { struct } from '../xdr/codec.ts';
import { checkNewName } from './names.ts';
import { procedure } from './procedure.ts';
import { created, directoryOperation, failedWithWcc, nfsPath, setAttributes } from './wire.ts';

/**
 * Procedure 10, RFC 1813 §3.3.10.
 * ```
 * struct symlinkdata3 { sattr3 symlink_attributes; nfspath3 symlink_data; };
 * struct SYMLINK3args { diropargs3 where; symlinkdata3 symlink; };
 * struct SYMLINK3resok { post_op_fh3 obj; post_op_attr obj_attributes; wcc_data dir_wcc; };
 * struct SYMLINK3resfail { wcc_data dir_wcc; };
 * ```
 */
export const symlinkShape = {
  name: 'SYMLINK',
  args: struct({ where: directoryOperation, attributes: setAttributes, target: nfsPath }),
  ok: created,
  failed: failedWithWcc,
};

export const symlink = procedure(
  symlinkShape,
  (operation) => ({ wcc: operation.wcc() }),
  async (operation, { where, attributes, target }) => {
    const directory = await operation.resolveForChange(where.directory);
    const changes = operation.changes();
    checkNewName(where.name);
    return operation.created(
      await changes.makeSymlink(directory, where.name, target, attributes, operation.call),
    );
  },
);
