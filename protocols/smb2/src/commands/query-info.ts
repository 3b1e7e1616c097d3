import { DetailedStatusError, fail } from '../errors.ts';
import { encodeDescriptor, SecurityInformation, selectParts } from '../security/index.ts';
import { descriptorOf, requireAccess } from '../share/access.ts';
import type { Open } from '../open/open.ts';
import { boundedOutput, outputReply } from '../context/reply.ts';
import type { Reply } from '../context/reply.ts';
import type { Request } from '../request/request.ts';
import { Access, HEADER_SIZE } from '../wire/constants.ts';
import { FileClass, standardInfo } from '../wire/fscc/file-info.ts';
import { InfoType, queryInfoRequest } from '../wire/query.ts';
import { Status } from '../wire/status.ts';
import { fileClasses } from './file-classes.ts';
import { filesystemClasses } from './filesystem-classes.ts';

type Body = ReturnType<typeof queryInfoRequest.decode>;

/** [MS-SMB2] 3.3.5.20 */
export async function queryInfo(request: Request): Promise<Reply> {
  const body = queryInfoRequest.decode(request.packet, HEADER_SIZE);
  if (body.outputBufferLength > request.context.limits.maxTransactSize) return fail(Status.INVALID_PARAMETER);
  const open = request.anyOpen;
  if (open.kind === 'pipe') return queryPipe(body);
  switch (body.infoType) {
    case InfoType.FILE:
      return await queryFile(request, open, body);
    case InfoType.FILESYSTEM:
      return await queryFilesystem(request, open, body);
    case InfoType.SECURITY:
      return await querySecurity(request, open, body);
    case InfoType.QUOTA:
      return fail(Status.NOT_SUPPORTED);
    default:
      return fail(Status.INVALID_PARAMETER);
  }
}

/** 3.3.5.20.1 */
async function queryFile(request: Request, open: Open, body: Body): Promise<Reply> {
  const row = fileClasses.get(body.infoClass);
  if (!row) return fail(Status.INVALID_INFO_CLASS);
  requireAccess(open, row.access);
  if (body.outputBufferLength < row.fixed) return fail(Status.INFO_LENGTH_MISMATCH);
  const attributes = await open.share.backend.attributes(open.node, request);
  const data = await row.encode(open, attributes, request);
  return boundedOutput(data, row.fixed, body.outputBufferLength);
}

/** 3.3.5.20.2 */
async function queryFilesystem(request: Request, open: Open, body: Body): Promise<Reply> {
  const row = filesystemClasses.get(body.infoClass);
  if (!row) return fail(Status.INVALID_INFO_CLASS);
  if (body.outputBufferLength < row.fixed) return fail(Status.INFO_LENGTH_MISMATCH);
  const data = await row.encode(open, request);
  return boundedOutput(data, row.fixed, body.outputBufferLength);
}

/** 3.3.5.20.3: a descriptor is never cut. The error carries its length. */
async function querySecurity(request: Request, open: Open, body: Body): Promise<Reply> {
  const parts = body.additionalInformation;
  const readable =
    SecurityInformation.OWNER |
    SecurityInformation.GROUP |
    SecurityInformation.DACL |
    SecurityInformation.LABEL;
  if ((parts & readable) !== 0) requireAccess(open, Access.READ_CONTROL);
  if ((parts & SecurityInformation.SACL) !== 0) requireAccess(open, Access.SYSTEM_SECURITY);
  const attributes = await open.share.backend.attributes(open.node, request);
  const descriptor = selectParts(await descriptorOf(open.share, open.node, attributes), parts);
  const data = encodeDescriptor(descriptor);
  if (data.length > body.outputBufferLength) {
    const needed = Buffer.alloc(4);
    needed.writeUInt32LE(data.length);
    throw new DetailedStatusError(Status.BUFFER_TOO_SMALL, needed);
  }
  return outputReply(data);
}

/** The only information that clients query on a pipe. */
function queryPipe(body: Body): Reply {
  if (body.infoType !== InfoType.FILE || body.infoClass !== FileClass.STANDARD)
    return fail(Status.INVALID_INFO_CLASS);
  const data = standardInfo.toBuffer({
    allocationSize: 4096,
    endOfFile: 0,
    links: 1,
    deletePending: true,
    directory: false,
  });
  return boundedOutput(data, standardInfo.size, body.outputBufferLength);
}
