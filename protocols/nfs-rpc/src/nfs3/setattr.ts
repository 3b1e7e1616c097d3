import { optional, struct } from '../xdr/codec.ts';
import { procedure } from './procedure.ts';
import { failedWithWcc, fileHandle, nfsTime, setAttributes, wccData } from './wire.ts';

/**
 * Procedure 2, RFC 1813 §3.3.2.
 * ```
 * union sattrguard3 switch (bool check) { case TRUE: nfstime3 obj_ctime; case FALSE: void; };
 * struct SETATTR3args { nfs_fh3 object; sattr3 new_attributes; sattrguard3 guard; };
 * struct SETATTR3resok { wcc_data obj_wcc; };
 * struct SETATTR3resfail { wcc_data obj_wcc; };
 * ```
 */
export const setattrShape = {
  name: 'SETATTR',
  args: struct({ object: fileHandle, attributes: setAttributes, guard: optional(nfsTime) }),
  ok: struct({ wcc: wccData }),
  failed: failedWithWcc,
};

export const setattr = procedure(
  setattrShape,
  (operation) => ({ wcc: operation.wcc() }),
  async (operation, { object, attributes, guard }) => {
    const node = await operation.resolveForChange(object);
    await operation.changes().setAttributes(node, attributes, guard, operation.call);
    return { wcc: operation.wcc() };
  },
);
