import { fail } from '../errors.ts';
import { openPipe } from '../dcerpc/index.ts';
import { maximalAccess } from '../share/access.ts';
import { allocationSize, endOfFile, fileAttributes } from '../share/attributes.ts';
import { decodeName, parsePath } from '../names/path-name.ts';
import type { Open } from '../open/open.ts';
import type { ServerState } from '../registry/server-state.ts';
import { PipeOpen } from '../open/pipe-open.ts';
import { dataOffset, reply } from '../context/reply.ts';
import type { Reply } from '../context/reply.ts';
import type { Request } from '../request/request.ts';
import { CreateAction, FileAttribute, HEADER_SIZE, OplockLevel } from '../wire/constants.ts';
import { createRequest, createResponse } from '../wire/create.ts';
import { Status } from '../wire/status.ts';
import { area } from '../wire/struct.ts';
import { mapGeneric } from '../security/index.ts';
import { decodeContexts } from './create-contexts/request.ts';
import type { RequestContexts } from './create-contexts/request.ts';
import { appleReply, wantsFinderEntries } from './create-contexts/apple.ts';
import { encodeContexts } from './create-contexts/response.ts';
import { checkParameters } from './create-parameters.ts';
import { findReplay, openReplayable, replayKey } from './create-replay.ts';
import { reconnect } from './create-reconnect.ts';
import { Oplock } from '../file/oplock.ts';

/** [MS-SMB2] 3.3.5.9 */
export async function create(request: Request, server: ServerState): Promise<Reply> {
  const { packet, tree, context, session } = request;
  const body = createRequest.decode(packet, HEADER_SIZE);
  const earliest = HEADER_SIZE + createRequest.size;
  const name = decodeName(area(packet, body.nameOffset, body.nameLength, earliest));
  const contexts = decodeContexts(
    area(packet, body.contextsOffset, body.contextsLength, earliest),
    context.limits,
  );
  server.checkOpens(session, request.connection.address);
  if (!tree.share) return createPipe(request, server, name, body.desiredAccess);
  const isPosix = contexts.posixMode !== undefined && request.connection.negotiated.posix;
  if (contexts.reconnect) {
    const open = await reconnect(request, server, parsePath(name, isPosix), contexts, body.oplockLevel);
    try {
      return await answer(request, open, CreateAction.OPENED, contexts);
    } catch (error) {
      // The client does not know that it has the open again: keep it for the next attempt.
      if (!open.preserve()) open.dispose();
      throw error;
    }
  }
  checkParameters(body);
  if (contexts.snapshot !== undefined && contexts.snapshot !== 0n) return fail(Status.OBJECT_NAME_NOT_FOUND);
  const call = { request, server, path: parsePath(name, isPosix), posix: isPosix, body, contexts };
  const key = replayKey(request, contexts.durable);
  const replayed = key === undefined ? undefined : findReplay(request, server, key, contexts);
  if (replayed) return await answer(request, replayed, replayed.createAction, contexts);
  const { open, action } = await openReplayable(call, key);
  try {
    return await answer(request, open, action, contexts);
  } catch (error) {
    open.dispose();
    throw error;
  }
}

async function answer(
  request: Request,
  open: Open,
  action: number,
  contexts: RequestContexts,
): Promise<Reply> {
  const attributes = await open.share.backend.attributes(open.node, request);
  const gathered = {
    maximalAccess: contexts.wantsMaximalAccess
      ? await maximalAccess(open.share, open.node, request, attributes)
      : 0,
    apple: contexts.apple && (await appleReply(contexts.apple, open, request)),
  };
  request.openOrUndefined = open;
  if (contexts.apple && wantsFinderEntries(contexts.apple))
    request.connection.negotiated.finderEntries = true;
  const tail = encodeContexts(open, contexts, attributes, gathered);
  return reply(
    createResponse,
    {
      oplockLevel: open.lease ? OplockLevel.LEASE : open.caching instanceof Oplock ? open.caching.level : 0,
      flags: attributes.kind === 'symlink' ? 1 : 0,
      createAction: action,
      creationTime: attributes.creationTime,
      lastAccessTime: attributes.lastAccessTime,
      lastWriteTime: attributes.lastWriteTime,
      changeTime: attributes.changeTime,
      allocationSize: allocationSize(attributes),
      endOfFile: endOfFile(attributes),
      fileAttributes: fileAttributes(attributes),
      fileId: open.fileId,
      contextsOffset: tail.length === 0 ? 0 : dataOffset(createResponse.size),
      contextsLength: tail.length,
    },
    tail,
  );
}

function createPipe(request: Request, server: ServerState, name: string, desiredAccess: number): Reply {
  const { context, session, tree } = request;
  const pipe = openPipe(name, {
    serverName: context.settings.serverName,
    domain: context.settings.domain,
    comment: context.settings.comment,
    shares: () => [
      ...server.shares.map(({ options }) => ({
        name: options.name,
        comment: options.comment ?? '',
        kind: 'disk' as const,
      })),
      { name: 'IPC$', comment: 'IPC Service', kind: 'ipc' as const },
    ],
  });
  if (!pipe) return fail(Status.OBJECT_NAME_NOT_FOUND);
  const grantedAccess = mapGeneric(desiredAccess);
  const open = new PipeOpen(tree, { name, pipe, grantedAccess }, (closed) => server.pipeClosed(closed));
  server.opened(session, request.connection.address, open);
  request.openOrUndefined = open;
  return reply(createResponse, {
    oplockLevel: OplockLevel.NONE,
    flags: 0,
    createAction: CreateAction.OPENED,
    creationTime: 0n,
    lastAccessTime: 0n,
    lastWriteTime: 0n,
    changeTime: 0n,
    allocationSize: 4096,
    endOfFile: 0,
    fileAttributes: FileAttribute.NORMAL,
    fileId: open.fileId,
    contextsOffset: 0,
    contextsLength: 0,
  });
}
