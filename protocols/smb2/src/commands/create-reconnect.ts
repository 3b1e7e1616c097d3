/** Durable reconnects ([MS-SMB2] 3.3.5.9.7, 3.3.5.9.12). Any mismatch is OBJECT_NAME_NOT_FOUND. */
import { fail, StatusError } from '../errors.ts';
import { existingLease, grantCaching } from '../file/granting.ts';
import { foldName } from '../names/fold.ts';
import type { ParsedPath } from '../names/path-name.ts';
import { Open } from '../open/open.ts';
import { resolve } from '../share/path.ts';
import { randomId } from '../context/random-id.ts';
import type { ServerState } from '../registry/server-state.ts';
import type { Request } from '../request/request.ts';
import { Access, OplockLevel, ShareAccess } from '../wire/constants.ts';
import { Status } from '../wire/status.ts';
import { watchForLeases } from '../open/lease-watch.ts';
import { cachingClient } from './caching-client.ts';
import type { DurableReconnect, RequestContexts } from './create-contexts/request.ts';
import { requestDurability } from './create-durable.ts';

/** CreateGuid of an open without one. */
const NO_GUID = Buffer.alloc(16);
const gone = (): never => fail(Status.OBJECT_NAME_NOT_FOUND);

export async function reconnect(
  request: Request,
  server: ServerState,
  path: ParsedPath,
  contexts: RequestContexts,
  oplockLevel: number,
): Promise<Open> {
  const wanted = contexts.reconnect!;
  const open = server
    .durables(wanted.fileId.persistent)
    .find((one) => matches(request, one, wanted, contexts));
  if (open) {
    checkPath(open, path, contexts);
    open.reconnect(request.tree);
    request.session.opens.set(open.volatileId, open);
    return open;
  }
  return await reopenAfterRestart(request, server, path, contexts, oplockLevel);
}

function matches(request: Request, open: Open, wanted: DurableReconnect, contexts: RequestContexts): boolean {
  const { durable } = open;
  if (!durable || open.isConnected || open.share !== request.tree.share) return false;
  if (wanted.persistent !== durable.persistent) return false;
  if (wanted.createGuid && !wanted.createGuid.equals(durable.createGuid ?? NO_GUID)) return false;
  if (durable.userName !== request.session.identity.userName.toLowerCase()) return false;
  const { lease } = open;
  if ((lease === undefined) !== (contexts.lease === undefined)) return false;
  if (!lease || !contexts.lease) return true;
  return (
    durable.clientGuid.equals(request.session.clientGuid) &&
    lease.key.equals(contexts.lease.key) &&
    lease.version === contexts.lease.version
  );
}

/** With a lease the name must match. Otherwise the FileId alone decides (3.3.5.9.7). */
function checkPath(open: Open, path: ParsedPath, contexts: RequestContexts): void {
  if (!contexts.lease) return;
  const given = foldName(path.names.join('/'));
  const actual = foldName(open.share.namesOf(open.node).join('/'));
  if (given !== actual) throw new StatusError(Status.INVALID_PARAMETER);
}

/**
 * Reconnects an open of an earlier process. On a read-only share an open has no state that must survive, so it is made
 * again from the path. The persistent half of the FileId must have been issued for the node at that path.
 */
async function reopenAfterRestart(
  request: Request,
  server: ServerState,
  path: ParsedPath,
  contexts: RequestContexts,
  oplockLevel: number,
): Promise<Open> {
  const { context, share, session, tree } = request;
  const wanted = contexts.reconnect!;
  if (!share.readOnly || path.stream !== undefined) return gone();
  const found = await resolve(
    share,
    path,
    { caseSensitive: false, openLink: false, maxHops: context.limits.maxSymlinkHops },
    request,
  ).catch((error: unknown) => {
    if (error instanceof StatusError && error.status !== Status.OBJECT_PATH_NOT_FOUND) throw error;
    return gone();
  });
  if (!found.node) return gone();
  const attributes = await share.backend.attributes(found.node, request);
  if (server.persistentIds(share).decode(wanted.fileId.persistent) !== attributes.id) return gone();
  const file = share.fileOf(found.node);
  const own = existingLease(cachingClient(request, server), contexts.lease);
  if (own && own.file !== file) {
    share.release(file);
    return gone();
  }
  const open = new Open(context, server, file, tree, {
    volatileId: randomId(),
    persistentId: wanted.fileId.persistent,
    grantedAccess: Access.READ_ONLY,
    shareAccess: ShareAccess.ALL,
    options: 0,
    isDirectory: attributes.kind === 'directory',
    posix: contexts.posixMode !== undefined && request.connection.negotiated.posix,
    alias: found.alias,
  });
  server.opened(session, request.connection.address, open);
  grantCaching(cachingClient(request, server), open, {
    oplockLevel: contexts.lease ? OplockLevel.LEASE : oplockLevel,
    lease: contexts.lease,
    overwrites: false,
  });
  watchForLeases(open);
  requestDurability(request, open, {
    version: wanted.version,
    timeoutMs: 0,
    createGuid: wanted.createGuid,
    persistent: wanted.persistent,
  });
  if (!open.isDirectory) {
    try {
      open.backend = await share.backend.open(found.node, { write: false }, request);
    } catch (error) {
      open.dispose();
      throw error;
    }
  }
  return open;
}
