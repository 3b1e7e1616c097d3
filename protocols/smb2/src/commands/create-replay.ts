/** Replayed CREATEs: a client that did not get the reply sends the request again ([MS-SMB2] 3.3.5.9.10). */
import { fail } from '../errors.ts';
import type { ServerState } from '../registry/server-state.ts';
import type { Open } from '../open/open.ts';
import type { Request } from '../request/request.ts';
import { HeaderFlags } from '../wire/constants.ts';
import { Status } from '../wire/status.ts';
import type { DurableRequest, RequestContexts } from './create-contexts/request.ts';
import { openFile } from './create-open.ts';
import type { CreateCall, Opened } from './create-open.ts';

/** Returns undefined when the CREATE cannot be replayed, because it asks for no durable handle of version 2. */
export function replayKey({ session }: Request, durable: DurableRequest | undefined): string | undefined {
  const { createGuid } = durable ?? {};
  return createGuid && session.clientGuid.toString('hex') + createGuid.toString('hex');
}

/**
 * Returns the open that an earlier CREATE with the same CreateGuid made.
 * @throws StatusError DUPLICATE_OBJECTID unless the replay flag is set; FILE_NOT_AVAILABLE while the first CREATE runs;
 * ACCESS_DENIED when lease, session or tree connect differ.
 */
export function findReplay(
  request: Request,
  server: ServerState,
  key: string,
  contexts: RequestContexts,
): Open | undefined {
  const known = server.creates.get(key);
  if (known === undefined) return undefined;
  const isReplay = (request.header.flags & HeaderFlags.REPLAY_OPERATION) !== 0;
  if (!isReplay) return fail(Status.DUPLICATE_OBJECTID);
  if (known === 'pending') return fail(Status.FILE_NOT_AVAILABLE);
  const { lease } = known;
  // A persistent handle is kept for its client, which may not have received the reply.
  if (known.isPersistent && !known.isConnected && isOwner(request, known)) {
    known.reconnect(request.tree);
    request.session.opens.set(known.volatileId, known);
  }
  const isSameLease = lease ? contexts.lease?.key.equals(lease.key) === true : contexts.lease === undefined;
  if (!isSameLease || known.session !== request.session || known.tree !== request.tree)
    return fail(Status.ACCESS_DENIED);
  return known;
}

const isOwner = ({ session }: Request, { durable }: Open): boolean =>
  durable?.userName === session.identity.userName.toLowerCase() &&
  durable.clientGuid.equals(session.clientGuid);

export async function openReplayable(call: CreateCall, key: string | undefined): Promise<Opened> {
  if (key === undefined) return await openFile(call);
  const { creates } = call.server;
  creates.set(key, 'pending');
  try {
    const opened = await openFile(call);
    opened.open.replayKey = key;
    opened.open.createAction = opened.action;
    creates.set(key, opened.open);
    return opened;
  } catch (error) {
    creates.delete(key);
    throw error;
  }
}
