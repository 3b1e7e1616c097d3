import type { NodeAttributes } from '../backend.ts';
import { StatusError } from '../errors.ts';
import { allocationSize, endOfFile, fileAttributes } from '../share/attributes.ts';
import type { Open } from '../open/open.ts';
import { reply } from '../context/reply.ts';
import type { Reply } from '../context/reply.ts';
import type { Request } from '../request/request.ts';
import { HEADER_SIZE } from '../wire/constants.ts';
import { CLOSE_POSTQUERY_ATTRIB, closeRequest, closeResponse } from '../wire/create.ts';

/** [MS-SMB2] 3.3.5.10: waits for running requests on the open, except those that wait for events. */
export async function close(request: Request): Promise<Reply> {
  const { flags } = closeRequest.decode(request.packet, HEADER_SIZE);
  const open = request.anyOpen;
  if (open.kind === 'pipe') {
    open.dispose();
    return closeReply(0, undefined);
  }
  open.beginClose();
  request.connection.abandonRequests(
    (other) => other !== request && other.waitsForEvents && other.openOrUndefined === open,
  );
  await Promise.race([open.whenIdle(), request.whenAbandoned()]);
  const wanted = (flags & CLOSE_POSTQUERY_ATTRIB) !== 0;
  const attributes = wanted ? await attributesOf(request, open) : undefined;
  await open.close();
  return closeReply(attributes ? flags & CLOSE_POSTQUERY_ATTRIB : 0, attributes);
}

async function attributesOf(request: Request, open: Open): Promise<NodeAttributes | undefined> {
  try {
    return await open.share.backend.attributes(open.node, request);
  } catch (error) {
    // The close must succeed. Only the optional attributes are left out.
    if (error instanceof StatusError) return undefined;
    throw error;
  }
}

const closeReply = (flags: number, attributes: NodeAttributes | undefined): Reply =>
  reply(closeResponse, {
    flags,
    creationTime: attributes?.creationTime ?? 0n,
    lastAccessTime: attributes?.lastAccessTime ?? 0n,
    lastWriteTime: attributes?.lastWriteTime ?? 0n,
    changeTime: attributes?.changeTime ?? 0n,
    allocationSize: attributes ? allocationSize(attributes) : 0,
    endOfFile: attributes ? endOfFile(attributes) : 0,
    fileAttributes: attributes ? fileAttributes(attributes) : 0,
  });
