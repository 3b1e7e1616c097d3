import { NfsError } from '../backend.ts';
import { NfsStatus } from '../status.ts';
import { struct } from '../xdr/codec.ts';
import { checkName, checkOldName } from './names.ts';
import { procedure } from './procedure.ts';
import { directoryOperation, failedWithWcc, wccData } from './wire.ts';

/**
 * Procedure 12, RFC 1813 §3.3.12.
 * ```
 * struct REMOVE3args { diropargs3 object; };
 * struct REMOVE3resok { wcc_data dir_wcc; };
 * struct REMOVE3resfail { wcc_data dir_wcc; };
 * ```
 */
export const removeShape = {
  name: 'REMOVE',
  args: struct({ object: directoryOperation }),
  ok: struct({ wcc: wccData }),
  failed: failedWithWcc,
};

export const remove = procedure(
  removeShape,
  (operation) => ({ wcc: operation.wcc() }),
  async (operation, { object }) => {
    const directory = await operation.resolveForChange(object.directory);
    const changes = operation.changes();
    checkOldName(object.name);
    await changes.remove(directory, object.name, operation.call);
    return { wcc: operation.wcc() };
  },
);

/**
 * Procedure 13, RFC 1813 §3.3.13: `.` is NFS3ERR_INVAL, `..` is NFS3ERR_EXIST.
 * ```
 * struct RMDIR3args { diropargs3 object; };
 * struct RMDIR3resok { wcc_data dir_wcc; };
 * struct RMDIR3resfail { wcc_data dir_wcc; };
 * ```
 */
export const rmdirShape = { ...removeShape, name: 'RMDIR' };

export const rmdir = procedure(
  rmdirShape,
  (operation) => ({ wcc: operation.wcc() }),
  async (operation, { object }) => {
    const directory = await operation.resolveForChange(object.directory);
    const changes = operation.changes();
    checkName(object.name);
    if (object.name === '.') throw new NfsError(NfsStatus.INVAL);
    if (object.name === '..') throw new NfsError(NfsStatus.EXIST);
    await changes.removeDirectory(directory, object.name, operation.call);
    return { wcc: operation.wcc() };
  },
);
