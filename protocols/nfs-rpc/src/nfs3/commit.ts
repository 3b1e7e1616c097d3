import { struct, uint32, uint64 } from '../xdr/codec.ts';
import { procedure } from './procedure.ts';
import { failedWithWcc, fileHandle, verifier, wccData } from './wire.ts';

/**
 * Procedure 21, RFC 1813 §3.3.21.
 * ```
 * struct COMMIT3args { nfs_fh3 file; offset3 offset; count3 count; };
 * struct COMMIT3resok { wcc_data file_wcc; writeverf3 verf; };
 * struct COMMIT3resfail { wcc_data file_wcc; };
 * ```
 */
export const commitShape = {
  name: 'COMMIT',
  args: struct({ file: fileHandle, offset: uint64, count: uint32 }),
  ok: struct({ wcc: wccData, verifier }),
  failed: failedWithWcc,
};

export const commit = procedure(
  commitShape,
  (operation) => ({ wcc: operation.wcc() }),
  async (operation, { file, offset, count }) => {
    const node = await operation.resolveForChange(file);
    const changes = operation.changes();
    await changes.commit(node, offset, count, operation.call);
    return { wcc: operation.wcc(), verifier: changes.writeVerifier };
  },
);
