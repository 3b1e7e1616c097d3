import { struct } from '../xdr/codec.ts';
import { checkOldName } from './names.ts';
import type { Operation } from './operation.ts';
import { procedure } from './procedure.ts';
import { directoryOperation, wccData, type WccData } from './wire.ts';

const both = struct({ fromWcc: wccData, toWcc: wccData });

/**
 * Procedure 14, RFC 1813 §3.3.14; `.` and `..` are NFS3ERR_INVAL on either side.
 * ```
 * struct RENAME3args { diropargs3 from; diropargs3 to; };
 * struct RENAME3resok { wcc_data fromdir_wcc; wcc_data todir_wcc; };
 * struct RENAME3resfail { wcc_data fromdir_wcc; wcc_data todir_wcc; };
 * ```
 */
export const renameShape = {
  name: 'RENAME',
  args: struct({ from: directoryOperation, to: directoryOperation }),
  ok: both,
  failed: both,
};

const bothWcc = <N>(operation: Operation<N>): { fromWcc: WccData; toWcc: WccData } => ({
  fromWcc: operation.wcc(),
  toWcc: operation.secondWcc(),
});

export const rename = procedure(renameShape, bothWcc, async (operation, { from, to }) => {
  const source = await operation.resolveForChange(from.directory);
  const target = await operation.resolveSecondForChange(to.directory);
  const changes = operation.changes();
  checkOldName(from.name);
  checkOldName(to.name);
  await changes.rename(source, from.name, target, to.name, operation.call);
  return bothWcc(operation);
});
