import { BufferLostError, type Awaitable, type OpenNode } from '../backend.ts';
import type { Connection } from '../connection/connection.ts';
import { BODY, dataOffset, reply } from '../context/reply.ts';
import type { Releasable, Reply } from '../context/reply.ts';
import { fail, StatusError } from '../errors.ts';
import type { Open } from '../open/open.ts';
import type { PipeOpen } from '../open/pipe-open.ts';
import type { Request } from '../request/request.ts';
import type { Node } from '../share/volume.ts';
import { Access, HEADER_SIZE } from '../wire/constants.ts';
import { decodeRead, encodeRead, isWithinOffsets, readResponse } from '../wire/io.ts';
import type { ReadRange } from '../wire/io.ts';
import { Status } from '../wire/status.ts';
import type { NtStatus } from '../wire/status.ts';

const FIXED = readResponse.size;
const PAYLOAD = BODY + FIXED;

/**
 * [MS-SMB2] 3.3.5.12: the backend reads into the reply buffer, after room for the headers. READ is the most frequent
 * request, so this path makes no bigints and no closures.
 */
export function read(request: Request): Awaitable<Reply> {
  const open = request.anyOpen;
  const range = decodeRead(request.packet, HEADER_SIZE);
  const { length, offset } = range;
  if (length > request.context.limits.maxReadSize) return fail(Status.INVALID_PARAMETER);
  if (open.kind === 'pipe') return readPipe(open, length);
  if (open.isDirectory) return fail(Status.INVALID_DEVICE_REQUEST);
  if ((open.grantedAccess & (Access.READ_DATA | Access.EXECUTE)) === 0) return fail(Status.ACCESS_DENIED);
  if (offset + length > Number.MAX_SAFE_INTEGER) checkFarOut(request.packet, length);
  if (!open.file.locks.allows(open, offset, length, false)) return fail(Status.FILE_LOCK_CONFLICT);
  const room = request.connection.reads.take(length);
  return room ? readLater(room, request, open, range) : readNow(request, open, range);
}

/** No file is that long. Offsets beyond 2^63 - 1 are invalid ([MS-FSA] 2.1.5.2). */
function checkFarOut(packet: Buffer, length: number): void {
  if (!isWithinOffsets(packet, HEADER_SIZE, length)) fail(Status.INVALID_PARAMETER);
  if (length > 0) fail(Status.END_OF_FILE);
}

async function readLater(
  room: Promise<void>,
  request: Request,
  open: Open,
  range: ReadRange,
): Promise<Reply> {
  await room;
  return await readNow(request, open, range);
}

function readNow(request: Request, open: Open, range: ReadRange): Awaitable<Reply> {
  const { offset, length } = range;
  const answer = new ReadReply(request.connection, length);
  let got: Awaitable<number>;
  try {
    const backend = open.backend ?? fail(Status.ACCESS_DENIED);
    const target = answer.buffer.subarray(PAYLOAD, PAYLOAD + length);
    got =
      length <= request.context.limits.readSlice
        ? backend.read(offset, target, request)
        : readSlices(request, backend, offset, target);
  } catch (error) {
    answer.release();
    throw error;
  }
  return typeof got === 'number'
    ? finish(open, answer, got, range)
    : finishLater(got, request, open, answer, range);
}

async function finishLater(
  got: Promise<number>,
  request: Request,
  open: Open,
  answer: ReadReply,
  range: ReadRange,
): Promise<Reply> {
  let count: number;
  try {
    count = await got;
  } catch (error) {
    answer.abandon();
    if (error instanceof BufferLostError) return await read(request);
    throw error;
  }
  return finish(open, answer, count, range);
}

/** Reads in slices, with up to `readsAtOnce` in flight. Between slices other requests get the event loop. */
async function readSlices(
  request: Request,
  backend: OpenNode<Node>,
  offset: number,
  target: Buffer,
): Promise<number> {
  const { readSlice } = request.context.limits;
  const most = Math.max(1, request.share.backend.readsAtOnce ?? 1);
  const slices: Awaitable<number>[] = [];
  let begun = 0;
  let done = 0;
  while (done < target.length) {
    while (slices.length < most && begun < target.length) {
      const slice = backend.read(offset + begun, target.subarray(begun, begun + readSlice), request);
      // The loop may end before it awaits this slice: avoid an unhandled rejection.
      if (slice instanceof Promise) slice.catch(ignore);
      slices.push(slice);
      begun += readSlice;
    }
    const first = slices.shift()!;
    const count = typeof first === 'number' ? first : await first;
    const isShort = count < Math.min(readSlice, target.length - done);
    done += count;
    if (isShort) break;
    if (typeof first === 'number' && done < target.length) await new Promise(setImmediate);
    request.throwIfAbandoned();
  }
  // Slices beyond the end of the file may still write into the buffer.
  for (const slice of slices) if (slice instanceof Promise) await slice.catch(ignore);
  return done;
}

function ignore(): void {
  // See readSlices.
}

/** The reply to a READ, in a pooled buffer that returns to the pool once it is sent. */
class ReadReply implements Reply, Releasable {
  readonly status: NtStatus = Status.SUCCESS;
  readonly buffer: Buffer;
  length = 0;
  readonly #connection: Connection;
  readonly #reserved: number;

  constructor(connection: Connection, reserved: number) {
    this.#connection = connection;
    this.#reserved = reserved;
    this.buffer = connection.context.pool.take(reserved);
  }

  get owner(): Releasable {
    return this;
  }

  release(): void {
    this.#connection.context.pool.give(this.buffer);
    this.abandon();
  }

  /** Releases the read budget only. The buffer does not return to the pool: a late read may still write into it. */
  abandon(): void {
    this.#connection.reads.give(this.#reserved);
  }
}

function finish(open: Open, answer: ReadReply, count: number, range: ReadRange): Reply {
  if ((count === 0 && range.length > 0) || count < range.minimumCount) {
    answer.release();
    throw new StatusError(Status.END_OF_FILE);
  }
  open.position = range.offset + count;
  encodeRead(dataOffset(FIXED), count, answer.buffer, BODY);
  answer.length = FIXED + count;
  return answer;
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
