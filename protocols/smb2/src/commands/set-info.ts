import { fail } from '../errors.ts';
import { decodeDescriptor, encodeDescriptor, replaceParts, SecurityInformation } from '../security/index.ts';
import { descriptorOf, requireAccess } from '../share/access.ts';
import type { Open } from '../open/open.ts';
import { reply } from '../context/reply.ts';
import type { Reply } from '../context/reply.ts';
import type { Request } from '../request/request.ts';
import { Access, HEADER_SIZE } from '../wire/constants.ts';
import { InfoType, setInfoRequest, setInfoResponse } from '../wire/query.ts';
import { Status } from '../wire/status.ts';
import { area } from '../wire/struct.ts';
import { setFileClasses } from './set-file-classes.ts';

/** [MS-SMB2] 3.3.5.21 */
export async function setInfo(request: Request): Promise<Reply> {
  const { packet, context } = request;
  const body = setInfoRequest.decode(packet, HEADER_SIZE);
  if (body.bufferLength > context.limits.maxTransactSize) return fail(Status.INVALID_PARAMETER);
  const data = area(packet, body.bufferOffset, body.bufferLength, HEADER_SIZE + setInfoRequest.size);
  const { open } = request;
  switch (body.infoType) {
    case InfoType.FILE: {
      const row = setFileClasses.get(body.infoClass) ?? fail(Status.INVALID_INFO_CLASS);
      if (data.length < row.fixed) return fail(Status.INFO_LENGTH_MISMATCH);
      requireAccess(open, row.access);
      await row.apply(request, open, data);
      break;
    }
    case InfoType.SECURITY:
      await setSecurity(request, open, data, body.additionalInformation);
      break;
    case InfoType.FILESYSTEM:
    case InfoType.QUOTA:
      return fail(Status.NOT_SUPPORTED);
    default:
      return fail(Status.INVALID_PARAMETER);
  }
  return reply(setInfoResponse, {});
}

/** 3.3.5.21.3 */
async function setSecurity(request: Request, open: Open, data: Buffer, parts: number): Promise<void> {
  const { share, node } = open;
  const needed =
    ((parts & (SecurityInformation.OWNER | SecurityInformation.GROUP)) === 0 ? 0 : Access.WRITE_OWNER) |
    ((parts & SecurityInformation.DACL) === 0 ? 0 : Access.WRITE_DAC) |
    ((parts & SecurityInformation.SACL) === 0 ? 0 : Access.SYSTEM_SECURITY);
  requireAccess(open, needed);
  const { changes } = share.backend;
  if (!changes) return fail(Status.MEDIA_WRITE_PROTECTED);
  const store = changes.securityDescriptors ?? fail(Status.NOT_SUPPORTED);
  const given = decodeDescriptor(data);
  const current = await descriptorOf(share, node, await share.backend.attributes(node, request));
  const base = changes.streams?.owner(node)?.node ?? node;
  await store.set(base, encodeDescriptor(replaceParts(current, given, parts)));
}
