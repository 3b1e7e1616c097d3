import { DceRpcError } from '../dcerpc/index.ts';
import { fail } from '../errors.ts';
import type { Open } from '../open/open.ts';
import type { PipeOpen } from '../open/pipe-open.ts';
import { reply } from '../context/reply.ts';
import type { Reply } from '../context/reply.ts';
import type { Request } from '../request/request.ts';
import { Access, HEADER_SIZE } from '../wire/constants.ts';
import { isWithinOffsets, writeRequest, writeResponse } from '../wire/io.ts';
import { Status } from '../wire/status.ts';
import { area } from '../wire/struct.ts';

/** Offset that means "end of file" ([MS-FSA] 2.1.5.3). Used with the append right only. */
const APPEND = 2 ** 64;

/** [MS-SMB2] 3.3.5.13 */
export async function write(request: Request): Promise<Reply> {
  const { packet, context } = request;
  const body = writeRequest.decode(packet, HEADER_SIZE);
  if (body.length > context.limits.maxWriteSize) return fail(Status.INVALID_PARAMETER);
  const data = area(packet, body.dataOffset, body.length, HEADER_SIZE + writeRequest.size);
  const open = request.anyOpen;
  if (open.kind === 'pipe') writePipe(open, data);
  else await writeFile(request, open, body.offset, data);
  return reply(writeResponse, {
    count: data.length,
    remaining: 0,
    channelInfoOffset: 0,
    channelInfoLength: 0,
  });
}

async function writeFile(request: Request, open: Open, at: number, data: Buffer): Promise<void> {
  const { changes } = open.share.backend;
  if (open.isDirectory) return fail(Status.INVALID_DEVICE_REQUEST);
  const writes = (open.grantedAccess & Access.WRITE_DATA) !== 0;
  if (!writes && (open.grantedAccess & Access.APPEND_DATA) === 0) return fail(Status.ACCESS_DENIED);
  if (!changes || !open.backend) return fail(Status.MEDIA_WRITE_PROTECTED);
  const appends = at === APPEND && !writes;
  const offset = appends ? (await open.share.backend.attributes(open.node, request)).size : at;
  if (offset + data.length > Number.MAX_SAFE_INTEGER) checkFarOut(request.packet, data.length);
  if (!open.file.locks.allows(open, offset, data.length, true)) return fail(Status.FILE_LOCK_CONFLICT);
  if (data.length === 0) return;
  open.file.breakReadCaches(open);
  await changes.write(open.backend, offset, data, request);
  open.position = offset + data.length;
}

/** A write of 0 bytes is valid up to 2^63 - 1. Other writes need an offset that a number holds exactly ([MS-FSA] 2.1.5.3). */
function checkFarOut(packet: Buffer, length: number): void {
  if (length > 0 || !isWithinOffsets(packet, HEADER_SIZE, length)) fail(Status.INVALID_PARAMETER);
}

function writePipe(open: PipeOpen, data: Buffer): void {
  try {
    open.pipe.write(data);
  } catch (error) {
    if (error instanceof DceRpcError) fail(Status.PIPE_DISCONNECTED);
    throw error;
  }
}
