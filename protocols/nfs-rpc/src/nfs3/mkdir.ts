import { struct } from '../xdr/codec.ts';
import { checkNewName } from './names.ts';
import { procedure } from './procedure.ts';
import { created, directoryOperation, failedWithWcc, setAttributes } from './wire.ts';

/**
 * Procedure 9, RFC 1813 §3.3.9.
 * ```
 * struct MKDIR3args { diropargs3 where; sattr3 attributes; };
 * struct MKDIR3resok { post_op_fh3 obj; post_op_attr obj_attributes; wcc_data dir_wcc; };
 * struct MKDIR3resfail { wcc_data dir_wcc; };
 * ```
 */
export const mkdirShape = {
  name: 'MKDIR',
  args: struct({ where: directoryOperation, attributes: setAttributes }),
  ok: created,
  failed: failedWithWcc,
};

export const mkdir = procedure(
  mkdirShape,
  (operation) => ({ wcc: operation.wcc() }),
  async (operation, { where, attributes }) => {
    const directory = await operation.resolveForChange(where.directory);
    const changes = operation.changes();
    checkNewName(where.name);
    return operation.created(await changes.makeDirectory(directory, where.name, attributes, operation.call));
  },
);
