import { chain } from '../rpc/awaitable.ts';
import { struct, uint32 } from '../xdr/codec.ts';
import { procedure } from './procedure.ts';
import { failedWithAttributes, fileHandle, postOpAttr } from './wire.ts';

/**
 * Procedure 4, RFC 1813 §3.3.4.
 * ```
 * struct ACCESS3args { nfs_fh3 object; uint32 access; };
 * struct ACCESS3resok { post_op_attr obj_attributes; uint32 access; };
 * struct ACCESS3resfail { post_op_attr obj_attributes; };
 * ```
 */
export const accessShape = {
  name: 'ACCESS',
  args: struct({ object: fileHandle, access: uint32 }),
  ok: struct({ attributes: postOpAttr, access: uint32 }),
  failed: failedWithAttributes,
};

/** ACCESS3_READ to ACCESS3_EXECUTE. */
const KNOWN_BITS = 0x3f;

export const access = procedure(
  accessShape,
  (operation) => ({ attributes: operation.attributes() }),
  (operation, args) => {
    const wanted = args.access & KNOWN_BITS;
    return chain(operation.resolve(args.object), (node) =>
      chain(operation.backend.access(node, wanted, operation.call), (granted) => ({
        attributes: operation.attributes(),
        access: granted & wanted,
      })),
    );
  },
);
