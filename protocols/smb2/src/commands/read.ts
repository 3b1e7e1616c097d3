import { BufferLostError, type Awaitable, type OpenNode } from '../backend.ts';
import { fail, StatusError } from '../errors.ts';
import type { Open } from '../open/open.ts';
import type { PipeOpen } from '../open/pipe-open.ts';
import { BODY, dataOffset, reply } from '../context/reply.ts';
import type { Reply } from '../context/reply.ts';
import type { Request } from '../request/request.ts';
import type { Node } from '../share/volume.ts';
import { Access, HEADER_SIZE } from '../wire/constants.ts';
import { decodeRead, encodeRead, isWithinOffsets, readResponse } from '../wire/io.ts';
import { Status } from '../wire/status.ts';

const FIXED = readResponse.size;
const PAYLOAD = BODY + FIXED;

/** [MS-SMB2] 3.3.5.12: the backend reads into the reply's buffer, behind room for the headers. */
export function read(request: Request): Awaitable<Reply> {
  const open = request.anyOpen;
  const { length, offset, minimumCount } = decodeRead(request.packet, HEADER_SIZE);
  if (length > request.context.limits.maxReadSize) return fail(Status.INVALID_PARAMETER);
  if (open.kind === 'pipe') return readPipe(open, length);
  if (open.isDirectory) return fail(Status.INVALID_DEVICE_REQUEST);
  if ((open.grantedAccess & (Access.READ_DATA | Access.EXECUTE)) === 0) return fail(Status.ACCESS_DENIED);
  if (offset + length > Number.MAX_SAFE_INTEGER) checkFarOut(request.packet, length);
  if (!open.file.locks.allows(open, offset, length, false)) return fail(Status.FILE_LOCK_CONFLICT);
  const { reads } = request.connection;
  const room = reads.take(length);
  if (!room) return readFile(request, open, { offset, length, minimumCount });
  return room.then(() => readFile(request, open, { offset, length, minimumCount }));
}

/** No file is that long; beyond 2^63 - 1 there is not even an offset ([MS-FSA] 2.1.5.2). */
function checkFarOut(packet: Buffer, length: number): void {
  if (!isWithinOffsets(packet, HEADER_SIZE, length)) fail(Status.INVALID_PARAMETER);
  if (length > 0) fail(Status.END_OF_FILE);
}

interface Range {
  readonly offset: number;
  readonly length: number;
  readonly minimumCount: number;
}

function readFile(request: Request, open: Open, range: Range): Awaitable<Reply> {
  const { context, connection } = request;
  const buffer = context.pool.take(range.length);
  const release = (): void => {
    context.pool.give(buffer);
    connection.reads.give(range.length);
  };
  try {
    const backend = open.backend ?? fail(Status.ACCESS_DENIED);
    const target = buffer.subarray(PAYLOAD, PAYLOAD + range.length);
    const got =
      range.length <= context.limits.readSlice
        ? backend.read(range.offset, target, request)
        : readSlices(request, backend, range.offset, target);
    if (typeof got === 'number') return finish(open, buffer, got, range, release);
    return got.then(
      (count) => finish(open, buffer, count, range, release),
      (error: unknown) => {
        // The buffer is not given back to the pool: a late read may still write into it.
        connection.reads.give(range.length);
        if (error instanceof BufferLostError) return read(request);
        throw error;
      },
    );
  } catch (error) {
    release();
    throw error;
  }
}

/** Piece by piece, so that a backend or an event loop that serves in order gets to other requests in between. */
async function readSlices(
  request: Request,
  backend: OpenNode<Node>,
  offset: number,
  target: Buffer,
): Promise<number> {
  const { readSlice } = request.context.limits;
  let done = 0;
  while (done < target.length) {
    const slice = target.subarray(done, done + readSlice);
    const got = backend.read(offset + done, slice, request);
    const count = typeof got === 'number' ? got : await got;
    done += count;
    if (count < slice.length) break;
    if (typeof got === 'number' && done < target.length) await new Promise(setImmediate);
    request.throwIfAbandoned();
  }
  return done;
}

function finish(open: Open, buffer: Buffer, count: number, range: Range, release: () => void): Reply {
  if ((count === 0 && range.length > 0) || count < range.minimumCount) {
    release();
    throw new StatusError(Status.END_OF_FILE);
  }
  open.position = range.offset + count;
  encodeRead(dataOffset(FIXED), count, buffer, BODY);
  return { status: Status.SUCCESS, buffer, length: FIXED + count, release };
}

function readPipe(open: PipeOpen, length: number): Reply {
  const message = open.pipe.read(length);
  if (!message) return fail(Status.PIPE_EMPTY);
  return reply(
    readResponse,
    { dataOffset: dataOffset(FIXED), dataLength: message.data.length, dataRemaining: 0, flags: 0 },
    message.data,
    message.more ? Status.BUFFER_OVERFLOW : Status.SUCCESS,
  );
}
