import { chain } from '../rpc/awaitable.ts';
import { bool, struct, uint32 } from '../xdr/codec.ts';
import { procedure } from './procedure.ts';
import { failedWithAttributes, fileHandle, postOpAttr } from './wire.ts';

/**
 * Procedure 20, RFC 1813 §3.3.20.
 * ```
 * struct PATHCONF3args { nfs_fh3 object; };
 * struct PATHCONF3resok {
 *   post_op_attr obj_attributes;
 *   uint32 linkmax; uint32 name_max;
 *   bool no_trunc; bool chown_restricted; bool case_insensitive; bool case_preserving;
 * };
 * struct PATHCONF3resfail { post_op_attr obj_attributes; };
 * ```
 */
export const pathconfShape = {
  name: 'PATHCONF',
  args: struct({ object: fileHandle }),
  ok: struct({
    attributes: postOpAttr,
    linkMax: uint32,
    nameMax: uint32,
    noTruncation: bool,
    chownRestricted: bool,
    caseInsensitive: bool,
    casePreserving: bool,
  }),
  failed: failedWithAttributes,
};

export const pathconf = procedure(
  pathconfShape,
  (operation) => ({ attributes: operation.attributes() }),
  (operation, { object }) =>
    chain(operation.resolve(object), (node) =>
      chain(operation.backend.pathConf(node, operation.call), (configuration) => ({
        attributes: operation.attributes(),
        ...configuration,
      })),
    ),
);
