import { chain } from '../rpc/awaitable.ts';
import { struct } from '../xdr/codec.ts';
import { checkName } from './names.ts';
import type { Operation } from './operation.ts';
import { procedure } from './procedure.ts';
import { directoryOperation, failedWithAttributes, fileHandle, postOpAttr } from './wire.ts';
import type { Awaitable } from '../backend.ts';

/**
 * Procedure 3, RFC 1813 §3.3.3.
 * ```
 * struct LOOKUP3args { diropargs3 what; };
 * struct LOOKUP3resok { nfs_fh3 object; post_op_attr obj_attributes; post_op_attr dir_attributes; };
 * struct LOOKUP3resfail { post_op_attr dir_attributes; };
 * ```
 */
export const lookupShape = {
  name: 'LOOKUP',
  args: struct({ what: directoryOperation }),
  ok: struct({ object: fileHandle, attributes: postOpAttr, directoryAttributes: postOpAttr }),
  failed: failedWithAttributes,
};

export const lookup = procedure(
  lookupShape,
  (operation) => ({ attributes: operation.attributes() }),
  (operation, { what }) =>
    chain(operation.resolve(what.directory), (directory) => {
      checkName(what.name);
      return chain(find(operation, directory, what.name), (node) => ({
        object: operation.backend.handle(node),
        attributes: operation.backend.cachedAttributes(node),
        directoryAttributes: operation.attributes(),
      }));
    }),
);

function find<N>(operation: Operation<N>, directory: N, name: string): Awaitable<N> {
  const { backend, call } = operation;
  if (name === '.') return chain(operation.requireDirectory(directory), () => directory);
  if (name === '..') return chain(operation.requireDirectory(directory), () => backend.parent(directory));
  return backend.lookup(directory, name, call);
}
