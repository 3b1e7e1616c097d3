import type { Awaitable, ReadResult } from '../backend.ts';
import { MAX_TRANSFER } from '../limits.ts';
import { chain } from '../rpc/awaitable.ts';
import { REPLY_HEADER_SIZE, type ReplyWriter } from '../rpc/reply.ts';
import { NfsStatus } from '../status.ts';
import { bool, opaque, struct, uint32, uint64Number } from '../xdr/codec.ts';
import type { Operation } from './operation.ts';
import { guarded, type Procedure } from './procedure.ts';
import { FILE_ATTRIBUTES_SIZE, failedWithAttributes, fileHandle, postOpAttr, putPostOpAttr } from './wire.ts';

/**
 * Procedure 6, RFC 1813 §3.3.6.
 * ```
 * struct READ3args { nfs_fh3 file; offset3 offset; count3 count; };
 * struct READ3resok { post_op_attr file_attributes; count3 count; bool eof; opaque data<>; };
 * struct READ3resfail { post_op_attr file_attributes; };
 * ```
 */
export const readShape = {
  name: 'READ',
  args: struct({ file: fileHandle, offset: uint64Number, count: uint32 }),
  ok: struct({ attributes: postOpAttr, count: uint32, eof: bool, data: opaque(MAX_TRANSFER) }),
  failed: failedWithAttributes,
};

/** Bytes of status, attributes_follow, fattr3, count, eof and the length of the data. */
const RESULTS_SIZE = 4 + 4 + FILE_ATTRIBUTES_SIZE + 12;
const DATA_AT = REPLY_HEADER_SIZE + RESULTS_SIZE;

/**
 * Tuned: the backend reads straight into the reply buffer, after room for the longest header. A header without
 * attributes starts later in the buffer. Header, data and padding go out in one write.
 */
export const read: Procedure = {
  name: readShape.name,
  failed: failedWithAttributes,
  failure: (operation) => ({ attributes: operation.attributes() }),
  serve: (operation, args) => {
    const file = args.opaque(64);
    const offset = args.uint64Number();
    const count = Math.min(args.uint32(), MAX_TRANSFER);
    return guarded(() =>
      chain(operation.resolve(file), (node) =>
        operation.turns.take(node, operation.call, count, () => readInto(operation, node, offset, count)),
      ),
    );
  },
};

function readInto<N>(
  operation: Operation<N>,
  node: N,
  offset: number,
  count: number,
): Awaitable<ReplyWriter> {
  const { backend, call } = operation;
  if (offset > Number.MAX_SAFE_INTEGER) {
    return finish(operation, call.reply(RESULTS_SIZE), 0, { length: 0, eof: true });
  }
  // When the backend fails, the buffer does not return to the pool: a late read may still write into it.
  const reply = call.reply(RESULTS_SIZE + count + 3);
  count = Math.min(count, Number.MAX_SAFE_INTEGER - offset);
  const target = reply.slab.buffer.subarray(DATA_AT, DATA_AT + count);
  return chain(backend.read(node, offset, target, call), (result) => finish(operation, reply, count, result));
}

function finish<N>(
  operation: Operation<N>,
  reply: ReplyWriter,
  count: number,
  { length, eof }: ReadResult,
): ReplyWriter {
  if (!(length >= 0 && length <= count)) throw new RangeError(`backend read ${length} bytes of ${count}`);
  const attributes = operation.attributes();
  const unused = attributes === undefined ? FILE_ATTRIBUTES_SIZE : 0;
  reply.start = unused;
  reply.offset = REPLY_HEADER_SIZE + unused;
  reply.uint32(NfsStatus.OK);
  putPostOpAttr(reply, attributes);
  reply.uint32(length);
  reply.bool(eof);
  reply.uint32(length);
  reply.offset += length;
  reply.pad(length);
  return reply;
}
