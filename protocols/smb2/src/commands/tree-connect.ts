import { fail, MalformedError, StatusError } from '../errors.ts';
import { randomId32 } from '../context/random-id.ts';
import { reply } from '../context/reply.ts';
import type { Reply } from '../context/reply.ts';
import type { Request } from '../request/request.ts';
import type { ServerState } from '../registry/server-state.ts';

import { mayConnect } from '../session/membership.ts';
import type { Share } from '../file/share.ts';
import { TreeConnect } from '../session/tree.ts';
import {
  Access,
  Capability,
  HEADER_SIZE,
  HeaderFlags,
  ShareCapability,
  ShareFlags,
  ShareType,
} from '../wire/constants.ts';
import { treeConnectRequest, treeConnectResponse } from '../wire/session.ts';
import { Status } from '../wire/status.ts';
import { area } from '../wire/struct.ts';

/** [MS-SMB2] 3.3.5.7 */
export function treeConnect(request: Request, server: ServerState): Reply {
  const { session, context, packet, connection } = request;
  const { cipher } = connection.negotiated;
  const name = shareName(packet);
  try {
    const share = name.toUpperCase() === 'IPC$' ? undefined : findShare(request, server, name);
    if (session.trees.size >= context.limits.maxTreesPerSession)
      throw new StatusError(Status.INSUFFICIENT_RESOURCES);
    const tree = new TreeConnect(randomId32(session.trees), session, share);
    session.trees.set(tree.id, tree);
    request.treeOrUndefined = tree;
    request.chain.tree = tree;
    const event = { ...session.event(), share: tree.name };
    const signed = event.signed || (request.header.flags & HeaderFlags.SIGNED) !== 0;
    const encrypted = event.encrypted || request.sealed !== undefined;
    context.hooks.treeConnected?.({ ...event, signed, encrypted });
    const isAvailable =
      share?.options.continuouslyAvailable === true &&
      (connection.negotiated.capabilities & Capability.PERSISTENT_HANDLES) !== 0;
    const encrypts = tree.encrypted && cipher !== undefined;
    return reply(treeConnectResponse, {
      shareType: share ? ShareType.DISK : ShareType.PIPE,
      shareFlags: (share ? 0 : ShareFlags.NO_CACHING) | (encrypts ? ShareFlags.ENCRYPT_DATA : 0),
      capabilities: isAvailable ? ShareCapability.CONTINUOUS_AVAILABILITY : 0,
      maximalAccess: share ? share.maximalAccess : Access.READ_ONLY | Access.WRITE_DATA,
    });
  } catch (error) {
    if (error instanceof StatusError)
      context.hooks.treeRefused?.({ ...session.event(), share: name, status: error.status });
    throw error;
  }
}

/** Longest path to accept, in bytes: a server name and a share name ([MS-SMB2] 2.2.9). */
const LONGEST_PATH = 2 * 1024;

function shareName(packet: Buffer): string {
  const { pathOffset, pathLength } = treeConnectRequest.decode(packet, HEADER_SIZE);
  if (pathLength > LONGEST_PATH || pathLength % 2 !== 0) throw new MalformedError('tree connect path');
  const path = area(packet, pathOffset, pathLength, HEADER_SIZE + treeConnectRequest.size).toString(
    'utf16le',
  );
  const match = /^\\\\[^\\]+\\([^\\]+)$/.exec(path);
  return match?.[1] ?? fail(Status.BAD_NETWORK_NAME);
}

function findShare({ session }: Request, server: ServerState, name: string): Share {
  const share = server.share(name);
  if (!share) return fail(Status.BAD_NETWORK_NAME);
  return mayConnect(session, share) ? share : fail(Status.ACCESS_DENIED);
}
