import { chain } from '../rpc/awaitable.ts';
import { struct, uint32, uint64Number } from '../xdr/codec.ts';
import { procedure } from './procedure.ts';
import { failedWithAttributes, fileHandle, postOpAttr } from './wire.ts';

/**
 * Procedure 18, RFC 1813 §3.3.18.
 * ```
 * struct FSSTAT3args { nfs_fh3 fsroot; };
 * struct FSSTAT3resok {
 *   post_op_attr obj_attributes;
 *   size3 tbytes; size3 fbytes; size3 abytes; size3 tfiles; size3 ffiles; size3 afiles; uint32 invarsec;
 * };
 * struct FSSTAT3resfail { post_op_attr obj_attributes; };
 * ```
 */
export const fsstatShape = {
  name: 'FSSTAT',
  args: struct({ root: fileHandle }),
  ok: struct({
    attributes: postOpAttr,
    totalBytes: uint64Number,
    freeBytes: uint64Number,
    availableBytes: uint64Number,
    totalFiles: uint64Number,
    freeFiles: uint64Number,
    availableFiles: uint64Number,
    invariantSeconds: uint32,
  }),
  failed: failedWithAttributes,
};

export const fsstat = procedure(
  fsstatShape,
  (operation) => ({ attributes: operation.attributes() }),
  (operation, { root }) =>
    chain(operation.resolve(root), (node) =>
      chain(operation.backend.fsStat(node, operation.call), (stat) => ({
        attributes: operation.attributes(),
        ...stat,
      })),
    ),
);
