/** FSCTL_DUPLICATE_EXTENTS_TO_FILE ([MS-FSCC] 2.3.8, [MS-FSA] 2.1.5.10.4), done as a copy. */
import { fail } from '../../errors.ts';
import type { Open } from '../../open/open.ts';
import type { Request } from '../../request/request.ts';
import { Access, FileAttribute } from '../../wire/constants.ts';
import { fileId } from '../../wire/file-id.ts';
import type { FileId } from '../../wire/file-id.ts';
import { Status } from '../../wire/status.ts';
import { size64, structure } from '../../wire/struct.ts';
import type { FsctlResult } from './result.ts';

const duplicateRequest = structure('DUPLICATE_EXTENTS_DATA', '[MS-FSCC] 2.3.8', {
  source: fileId,
  sourceOffset: size64,
  targetOffset: size64,
  length: size64,
});

const PIECE = 2 ** 20;

export async function duplicateExtents(request: Request, input: Buffer): Promise<FsctlResult> {
  if (input.length < duplicateRequest.size) return fail(Status.INVALID_PARAMETER);
  const range = duplicateRequest.decode(input);
  const target = request.open;
  const source = findSource(request, range.source);
  const changes = target.share.backend.changes ?? fail(Status.MEDIA_WRITE_PROTECTED);
  if (source.isDirectory || target.isDirectory || source.share !== target.share)
    return fail(Status.INVALID_PARAMETER);
  if ((target.grantedAccess & Access.WRITE_DATA) === 0) return fail(Status.ACCESS_DENIED);
  if ((source.grantedAccess & (Access.READ_DATA | Access.EXECUTE)) === 0) return fail(Status.ACCESS_DENIED);
  const { sourceOffset, targetOffset, length } = range;
  if (Math.max(sourceOffset, targetOffset) + length > Number.MAX_SAFE_INTEGER)
    return fail(Status.INVALID_PARAMETER);
  const targetSize = await checkFiles(request, source, target, sourceOffset + length);
  if (source.node === target.node && length > 0 && Math.abs(sourceOffset - targetOffset) < length)
    return fail(Status.NOT_SUPPORTED);
  // The file does not grow, and byte-range locks are not checked.
  const most = Math.max(0, Math.min(length, targetSize - targetOffset));
  target.file.breakReadCaches(target);
  const piece = Buffer.allocUnsafe(Math.min(PIECE, most));
  for (let done = 0; done < most;) {
    request.throwIfAbandoned();
    if (!source.backend || !target.backend) return fail(Status.ACCESS_DENIED);
    const part = piece.subarray(0, Math.min(piece.length, most - done));
    const count = await source.backend.read(sourceOffset + done, part, request);
    if (count === 0) break;
    await changes.write(target.backend, targetOffset + done, part.subarray(0, count), request);
    done += count;
  }
  return { output: Buffer.alloc(0) };
}

function findSource({ session }: Request, { persistent, volatile }: FileId): Open {
  const open = session.opens.get(Number(volatile));
  if (open?.kind !== 'file' || open.fileId.persistent !== persistent) return fail(Status.INVALID_HANDLE);
  return open;
}

/**
 * The range must lie within the source, and a sparse file is not cloned into one that is not sparse.
 * @returns the size of the target.
 */
async function checkFiles(request: Request, source: Open, target: Open, end: number): Promise<number> {
  const { backend } = source.share;
  const from = await backend.attributes(source.node, request);
  const to = await backend.attributes(target.node, request);
  if (end > from.size) fail(Status.NOT_SUPPORTED);
  const isSparse = (attributes: number): boolean => (attributes & FileAttribute.SPARSE_FILE) !== 0;
  if (isSparse(from.dosAttributes) && !isSparse(to.dosAttributes)) fail(Status.NOT_SUPPORTED);
  return to.size;
}
