import { chain } from '../rpc/awaitable.ts';
import { struct } from '../xdr/codec.ts';
import { procedure } from './procedure.ts';
import { failedWithAttributes, fileHandle, nfsPath, postOpAttr } from './wire.ts';

/**
 * Procedure 5, RFC 1813 §3.3.5.
 * ```
 * struct READLINK3args { nfs_fh3 symlink; };
 * struct READLINK3resok { post_op_attr symlink_attributes; nfspath3 data; };
 * struct READLINK3resfail { post_op_attr symlink_attributes; };
 * ```
 */
export const readlinkShape = {
  name: 'READLINK',
  args: struct({ symlink: fileHandle }),
  ok: struct({ attributes: postOpAttr, target: nfsPath }),
  failed: failedWithAttributes,
};

export const readlink = procedure(
  readlinkShape,
  (operation) => ({ attributes: operation.attributes() }),
  (operation, { symlink }) =>
    chain(operation.resolve(symlink), (node) =>
      chain(operation.backend.readlink(node, operation.call), (target) => ({
        attributes: operation.attributes(),
        target,
      })),
    ),
);
