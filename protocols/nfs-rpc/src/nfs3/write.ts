import { NfsError, StableHow } from '../backend.ts';
import { MAX_TRANSFER } from '../limits.ts';
import { NfsStatus } from '../status.ts';
import { enumeration, opaque, struct, uint32, uint64Number } from '../xdr/codec.ts';
import { procedure } from './procedure.ts';
import { failedWithWcc, fileHandle, verifier, wccData } from './wire.ts';

/** stable_how. */
export const stableHow = enumeration(StableHow);

/**
 * Procedure 7, RFC 1813 §3.3.7.
 * ```
 * struct WRITE3args { nfs_fh3 file; offset3 offset; count3 count; stable_how stable; opaque data<>; };
 * struct WRITE3resok { wcc_data file_wcc; count3 count; stable_how committed; writeverf3 verf; };
 * struct WRITE3resfail { wcc_data file_wcc; };
 * ```
 */
export const writeShape = {
  name: 'WRITE',
  args: struct({ file: fileHandle, offset: uint64Number, count: uint32, stable: stableHow, data: opaque() }),
  ok: struct({ wcc: wccData, count: uint32, committed: stableHow, verifier }),
  failed: failedWithWcc,
};

export const write = procedure(
  writeShape,
  (operation) => ({ wcc: operation.wcc() }),
  async (operation, { file, offset, count, stable, data }) => {
    const node = await operation.resolveForChange(file);
    const changes = operation.changes();
    // Use the smaller of `count` and the length of the data.
    const bytes = data.subarray(0, Math.min(count, MAX_TRANSFER));
    if (offset + bytes.length > Number.MAX_SAFE_INTEGER) throw new NfsError(NfsStatus.FBIG);
    const { length, committed } = await changes.write(node, offset, bytes, stable, operation.call);
    return { wcc: operation.wcc(), count: length, committed, verifier: changes.writeVerifier };
  },
);
