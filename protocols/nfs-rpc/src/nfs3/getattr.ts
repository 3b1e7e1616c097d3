import { chain } from '../rpc/awaitable.ts';
import { NfsStatus } from '../status.ts';
import { nothing, struct } from '../xdr/codec.ts';
import { guarded, type Procedure, type Shape } from './procedure.ts';
import { FILE_ATTRIBUTES_SIZE, fileAttributes, fileHandle, putFileAttributes } from './wire.ts';
import type { FileAttributes } from '../backend.ts';

/**
 * Procedure 1, RFC 1813 §3.3.1.
 * ```
 * struct GETATTR3args { nfs_fh3 object; };
 * struct GETATTR3resok { fattr3 obj_attributes; };
 * union GETATTR3res switch (nfsstat3 status) { case NFS3_OK: GETATTR3resok resok; default: void; };
 * ```
 */
export const getattrShape = {
  name: 'GETATTR',
  args: struct({ object: fileHandle }),
  ok: struct({ attributes: fileAttributes }),
  failed: nothing,
} satisfies Shape<object, { attributes: FileAttributes }, object>;

/** Tuned: encodes by hand, and makes no promise when the backend returns a value. */
export const getattr: Procedure = {
  name: getattrShape.name,
  failed: getattrShape.failed,
  failure: () => ({}),
  serve: (operation, args) => {
    const handle = args.opaque(64);
    const { backend, call } = operation;
    return guarded(() =>
      chain(operation.resolve(handle), (node) =>
        chain(backend.getAttributes(node, call), (attributes) => {
          const reply = call.reply(4 + FILE_ATTRIBUTES_SIZE);
          reply.uint32(NfsStatus.OK);
          putFileAttributes(reply, attributes);
          return reply;
        }),
      ),
    );
  },
};
