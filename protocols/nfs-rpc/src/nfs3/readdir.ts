import { MAX_TRANSFER } from '../limits.ts';
import { chain } from '../rpc/awaitable.ts';
import type { ReplyWriter } from '../rpc/reply.ts';
import { bool, linkedList, struct, uint32, uint64Number } from '../xdr/codec.ts';
import { type Cursor, dotEntries, openDirectory, PageWriter } from './directory.ts';
import type { Operation } from './operation.ts';
import { guarded, type Procedure } from './procedure.ts';
import { failedWithAttributes, fileHandle, fileName, postOpAttr, verifier } from './wire.ts';

/** entry3, without nextentry. */
const entry = struct({ fileidHigh: uint32, fileidLow: uint32, name: fileName, cookie: uint64Number });

/**
 * Procedure 16, RFC 1813 §3.3.16.
 * ```
 * struct READDIR3args { nfs_fh3 dir; cookie3 cookie; cookieverf3 cookieverf; count3 count; };
 * struct entry3 { fileid3 fileid; filename3 name; cookie3 cookie; entry3 *nextentry; };
 * struct dirlist3 { entry3 *entries; bool eof; };
 * struct READDIR3resok { post_op_attr dir_attributes; cookieverf3 cookieverf; dirlist3 reply; };
 * struct READDIR3resfail { post_op_attr dir_attributes; };
 * ```
 */
export const readdirShape = {
  name: 'READDIR',
  args: struct({ directory: fileHandle, cookie: uint64Number, verifier, count: uint32 }),
  ok: struct({ attributes: postOpAttr, verifier, entries: linkedList(entry), eof: bool }),
  failed: failedWithAttributes,
};

/** Tuned: encodes straight from the snapshot. */
export const readdir: Procedure = {
  name: readdirShape.name,
  failed: failedWithAttributes,
  failure: (operation) => ({ attributes: operation.attributes() }),
  serve: (operation, args) => {
    const { directory, cookie, count } = readdirShape.args.decode(args);
    const maximum = Math.min(count, MAX_TRANSFER);
    return guarded(() =>
      chain(openDirectory(operation, directory, cookie), (cursor) =>
        chain(operation.call.reserve(maximum), () => page(operation, cursor, maximum)),
      ),
    );
  },
};

function page<N>(operation: Operation<N>, cursor: Cursor<N>, maximum: number): ReplyWriter {
  const { listing } = cursor;
  const writer = new PageWriter(operation.call.reply(maximum), operation.attributes(), maximum);
  for (const { name, cookie, fileid } of dotEntries(operation, cursor)) {
    if (!writer.fits(name, 0)) return writer.finish(false);
    writer.entry(fileid.high, fileid.low, name, cookie);
  }
  let { index } = cursor;
  for (; index < listing.length; index++) {
    const name = listing.nameAt(index);
    if (!writer.fits(name, 0)) break;
    writer.entry(listing.fileidHighAt(index), listing.fileidLowAt(index), name, listing.cookieAt(index));
  }
  return writer.finish(index === listing.length);
}
