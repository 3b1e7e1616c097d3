import type { FileAttributes } from '../backend.ts';
import { struct } from '../xdr/codec.ts';
import { checkNewName } from './names.ts';
import type { Operation } from './operation.ts';
import { procedure } from './procedure.ts';
import { directoryOperation, fileHandle, postOpAttr, wccData, type WccData } from './wire.ts';

const body = struct({ attributes: postOpAttr, directoryWcc: wccData });

/**
 * Procedure 15, RFC 1813 §3.3.15.
 * ```
 * struct LINK3args { nfs_fh3 file; diropargs3 link; };
 * struct LINK3resok { post_op_attr file_attributes; wcc_data linkdir_wcc; };
 * struct LINK3resfail { post_op_attr file_attributes; wcc_data linkdir_wcc; };
 * ```
 */
export const linkShape = {
  name: 'LINK',
  args: struct({ file: fileHandle, link: directoryOperation }),
  ok: body,
  failed: body,
};

const bodyOf = <N>(
  operation: Operation<N>,
): { attributes: FileAttributes | undefined; directoryWcc: WccData } => ({
  attributes: operation.attributes(),
  directoryWcc: operation.secondWcc(),
});

export const link = procedure(linkShape, bodyOf, async (operation, { file, link: where }) => {
  const node = await operation.resolve(file);
  const directory = await operation.resolveSecondForChange(where.directory);
  const changes = operation.changes();
  checkNewName(where.name);
  await changes.link(node, directory, where.name, operation.call);
  return bodyOf(operation);
});
