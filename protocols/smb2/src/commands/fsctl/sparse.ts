/** Sparse files ([MS-FSCC] 2.3.69, 2.3.71, 2.3.35). */
import type { ByteRange } from '../../backend.ts';
import { fail } from '../../errors.ts';
import type { Open } from '../../open/open.ts';
import type { Request } from '../../request/request.ts';
import { Access, FileAttribute } from '../../wire/constants.ts';
import { size64, structure } from '../../wire/struct.ts';
import { Status } from '../../wire/status.ts';
import type { FsctlResult } from './result.ts';

const zeroData = structure('FILE_ZERO_DATA_INFORMATION', '[MS-FSCC] 2.3.71', {
  from: size64,
  beyond: size64,
});
const range = structure('FILE_ALLOCATED_RANGE_BUFFER', '[MS-FSCC] 2.3.35', {
  offset: size64,
  length: size64,
});

const NOTHING = Buffer.alloc(0);
const ZEROS = Buffer.alloc(2 ** 20);

function requireAny(open: Open, rights: number): void {
  if ((open.grantedAccess & rights) === 0) fail(Status.ACCESS_DENIED);
}

export async function setSparse(request: Request, input: Buffer): Promise<FsctlResult> {
  const { open } = request;
  const changes = open.share.backend.changes ?? fail(Status.MEDIA_WRITE_PROTECTED);
  if (open.isDirectory) return fail(Status.INVALID_PARAMETER);
  requireAny(open, Access.WRITE_DATA | Access.APPEND_DATA | Access.WRITE_ATTRIBUTES);
  const isSparse = input.length === 0 || input[0] !== 0;
  const { dosAttributes } = await open.share.backend.attributes(open.node, request);
  const without = dosAttributes & ~FileAttribute.SPARSE_FILE;
  await changes.setAttributes(
    open.node,
    { dosAttributes: isSparse ? without | FileAttribute.SPARSE_FILE : without },
    request,
  );
  return { output: NOTHING };
}

export async function setZeroData(request: Request, input: Buffer): Promise<FsctlResult> {
  const { open } = request;
  const changes = open.share.backend.changes ?? fail(Status.MEDIA_WRITE_PROTECTED);
  if (open.isDirectory || input.length < zeroData.size) return fail(Status.INVALID_PARAMETER);
  requireAny(open, Access.WRITE_DATA);
  const { from, beyond } = zeroData.decode(input);
  if (from > beyond || beyond > Number.MAX_SAFE_INTEGER) return fail(Status.INVALID_PARAMETER);
  if (!open.file.locks.allows(open, from, beyond - from, true)) return fail(Status.FILE_LOCK_CONFLICT);
  const { size, dosAttributes } = await open.share.backend.attributes(open.node, request);
  const end = Math.min(beyond, size);
  if (end <= from) return { output: NOTHING };
  open.file.breakReadCaches(open);
  if (changes.holes && (dosAttributes & FileAttribute.SPARSE_FILE) !== 0) {
    await changes.holes.punch(open.node, { offset: from, length: end - from });
    return { output: NOTHING };
  }
  for (let at = from; at < end && open.backend; at += ZEROS.length) {
    request.throwIfAbandoned();
    await changes.write(open.backend, at, ZEROS.subarray(0, Math.min(ZEROS.length, end - at)), request);
  }
  return { output: NOTHING };
}

export async function queryAllocatedRanges(
  request: Request,
  input: Buffer,
  maxOutput: number,
): Promise<FsctlResult> {
  const { open } = request;
  if (open.isDirectory || input.length < range.size) return fail(Status.INVALID_PARAMETER);
  requireAny(open, Access.READ_DATA);
  const { offset, length } = range.decode(input);
  if (offset + length > 2 ** 63 - 1 || offset >= 2 ** 63) return fail(Status.INVALID_PARAMETER);
  const ranges = await allocatedRanges(request, open, { offset, length });
  if (ranges.length > 0 && maxOutput < range.size) return fail(Status.BUFFER_TOO_SMALL);
  const fitting = ranges.slice(0, Math.floor(maxOutput / range.size));
  return {
    output: Buffer.concat(fitting.map((one) => range.toBuffer(one))),
    status: fitting.length < ranges.length ? Status.BUFFER_OVERFLOW : Status.SUCCESS,
  };
}

/** The allocated parts of a range: all of it, unless the file is sparse and the backend knows its holes. */
async function allocatedRanges(
  request: Request,
  open: Open,
  { offset, length }: ByteRange,
): Promise<readonly ByteRange[]> {
  const { backend } = open.share;
  const { size, dosAttributes } = await backend.attributes(open.node, request);
  const end = Math.min(size, offset + length);
  if (end <= offset) return [];
  const asked = { offset, length: end - offset };
  const isSparse = (dosAttributes & FileAttribute.SPARSE_FILE) !== 0;
  return (isSparse ? await backend.changes?.holes?.allocated(open.node, asked) : undefined) ?? [asked];
}
