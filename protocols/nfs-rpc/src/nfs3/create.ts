import type { CreateHow } from '../backend.ts';
import { convert, type Decoded, struct, union } from '../xdr/codec.ts';
import { checkNewName } from './names.ts';
import { procedure } from './procedure.ts';
import { created, directoryOperation, failedWithWcc, setAttributes, verifier } from './wire.ts';

const withAttributes = struct({ attributes: setAttributes });

const createHowWire = union('how', { 0: withAttributes, 1: withAttributes, 2: struct({ verifier }) });

/** createhow3: UNCHECKED, GUARDED, EXCLUSIVE. */
export const createHow = convert(
  createHowWire,
  (wire): CreateHow =>
    wire.how === 2
      ? { mode: 'exclusive', verifier: wire.verifier }
      : { mode: wire.how === 1 ? 'guarded' : 'unchecked', attributes: wire.attributes },
  (how): Decoded<typeof createHowWire> =>
    how.mode === 'exclusive'
      ? { how: 2, verifier: how.verifier }
      : { how: how.mode === 'guarded' ? 1 : 0, attributes: how.attributes },
);

/**
 * Procedure 8, RFC 1813 §3.3.8.
 * ```
 * union createhow3 switch (createmode3 mode) {
 *   case UNCHECKED: case GUARDED: sattr3 obj_attributes;
 *   case EXCLUSIVE: createverf3 verf;
 * };
 * struct CREATE3args { diropargs3 where; createhow3 how; };
 * struct CREATE3resok { post_op_fh3 obj; post_op_attr obj_attributes; wcc_data dir_wcc; };
 * struct CREATE3resfail { wcc_data dir_wcc; };
 * ```
 */
export const createShape = {
  name: 'CREATE',
  args: struct({ where: directoryOperation, how: createHow }),
  ok: created,
  failed: failedWithWcc,
};

export const create = procedure(
  createShape,
  (operation) => ({ wcc: operation.wcc() }),
  async (operation, { where, how }) => {
    const directory = await operation.resolveForChange(where.directory);
    const changes = operation.changes();
    checkNewName(where.name);
    return operation.created(await changes.create(directory, where.name, how, operation.call));
  },
);
