/** Server-side copy ([MS-SMB2] 3.3.5.15.5, 3.3.5.15.6). */
import { fail } from '../../errors.ts';
import type { Open } from '../../open/open.ts';
import type { Request } from '../../request/request.ts';
import { Access } from '../../wire/constants.ts';
import { Status } from '../../wire/status.ts';
import type { NtStatus } from '../../wire/status.ts';
import { bytes, reserved, size64, structure, u32 } from '../../wire/struct.ts';
import type { FsctlResult } from './result.ts';

const copyRequest = structure('SRV_COPYCHUNK_COPY', '[MS-SMB2] 2.2.31.1', {
  sourceKey: bytes(24),
  chunkCount: u32,
  reserved: reserved(4),
});
const chunkEntry = structure('SRV_COPYCHUNK', '[MS-SMB2] 2.2.31.1.1', {
  sourceOffset: size64,
  targetOffset: size64,
  length: u32,
  reserved: reserved(4),
});
const copyResponse = structure('SRV_COPYCHUNK_RESPONSE', '[MS-SMB2] 2.2.32.1', {
  chunksWritten: u32,
  chunkBytesWritten: u32,
  totalBytesWritten: u32,
});

/** The limits of Windows and Samba, which clients expect (3.3.3). */
const MOST_CHUNKS = 256;
const LARGEST_CHUNK = 2 ** 20;
const MOST_BYTES = 16 * 2 ** 20;
const RESPONSE_SIZE = 32;

type Chunk = ReturnType<typeof chunkEntry.decode>;

/** The resume key is the FileId: opaque to the client, and valid in its session only. */
export function requestResumeKey(request: Request, _input: Buffer, maxOutput: number): FsctlResult {
  if (maxOutput < RESPONSE_SIZE) return fail(Status.INVALID_PARAMETER);
  const { open } = request;
  const output = Buffer.alloc(RESPONSE_SIZE);
  output.writeBigUInt64LE(open.fileId.persistent, 0);
  output.writeBigUInt64LE(open.fileId.volatile, 8);
  return { output };
}

export async function copyChunk(
  request: Request,
  input: Buffer,
  maxOutput: number,
  needsRead: boolean,
): Promise<FsctlResult> {
  if (maxOutput < copyResponse.size) return fail(Status.INVALID_PARAMETER);
  if (input.length < copyRequest.size) return fail(Status.INVALID_PARAMETER);
  const { sourceKey, chunkCount } = copyRequest.decode(input);
  const source = findSource(request, sourceKey);
  if (chunkCount > MOST_CHUNKS) return limits();
  if (input.length < copyRequest.size + chunkCount * chunkEntry.size) return fail(Status.INVALID_PARAMETER);
  const chunks = Array.from({ length: chunkCount }, (_, index) =>
    chunkEntry.decode(input, copyRequest.size + index * chunkEntry.size),
  );
  const total = chunks.reduce((sum, { length }) => sum + length, 0);
  if (chunks.some(({ length }) => length === 0 || length > LARGEST_CHUNK) || total > MOST_BYTES)
    return limits();
  const target = request.open;
  checkRights(source, target, needsRead);
  let written = 0;
  let failed: NtStatus = Status.SUCCESS;
  for (const chunk of chunks) {
    failed = await copyOne(request, source, target, chunk);
    if (failed !== Status.SUCCESS) break;
    written++;
  }
  const bytesWritten = chunks.slice(0, written).reduce((sum, { length }) => sum + length, 0);
  return {
    output: copyResponse.toBuffer({
      chunksWritten: written,
      chunkBytesWritten: 0,
      totalBytesWritten: bytesWritten,
    }),
    status: failed,
  };
}

/** Tells the client the limits (3.3.5.15.6). */
const limits = (): FsctlResult => ({
  output: copyResponse.toBuffer({
    chunksWritten: MOST_CHUNKS,
    chunkBytesWritten: LARGEST_CHUNK,
    totalBytesWritten: MOST_BYTES,
  }),
  status: Status.INVALID_PARAMETER,
});

function findSource(request: Request, key: Buffer): Open {
  const volatileId = Number(key.readBigUInt64LE(8));
  const open = request.session.opens.get(volatileId);
  if (open?.kind !== 'file' || open.fileId.persistent !== key.readBigUInt64LE(0))
    return fail(Status.OBJECT_NAME_NOT_FOUND);
  return open;
}

function checkRights(source: Open, target: Open, needsRead: boolean): void {
  if (source.isDirectory || target.isDirectory) fail(Status.INVALID_DEVICE_REQUEST);
  if ((source.grantedAccess & (Access.READ_DATA | Access.EXECUTE)) === 0) fail(Status.ACCESS_DENIED);
  if ((target.grantedAccess & (Access.WRITE_DATA | Access.APPEND_DATA)) === 0) fail(Status.ACCESS_DENIED);
  if (needsRead && (target.grantedAccess & Access.READ_DATA) === 0) fail(Status.ACCESS_DENIED);
}

async function copyOne(request: Request, source: Open, target: Open, chunk: Chunk): Promise<NtStatus> {
  const { changes } = target.share.backend;
  if (!changes || !target.backend || !source.backend) return Status.ACCESS_DENIED;
  const { sourceOffset, targetOffset, length } = chunk;
  if (Math.max(sourceOffset, targetOffset) + length > Number.MAX_SAFE_INTEGER)
    return Status.INVALID_PARAMETER;
  if (!source.file.locks.allows(source, sourceOffset, length, false)) return Status.FILE_LOCK_CONFLICT;
  if (!target.file.locks.allows(target, targetOffset, length, true)) return Status.FILE_LOCK_CONFLICT;
  const { size } = await source.share.backend.attributes(source.node, request);
  if (sourceOffset + length > size) return Status.INVALID_VIEW_SIZE;
  const data = Buffer.allocUnsafe(length);
  const count = await source.backend.read(sourceOffset, data, request);
  if (count < length) return Status.INVALID_VIEW_SIZE;
  target.file.breakReadCaches(target);
  await changes.write(target.backend, targetOffset, data, request);
  return Status.SUCCESS;
}
