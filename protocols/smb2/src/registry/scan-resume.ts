/** Continues a directory scan whose connection, or process, has ended. */
import { fail, StatusError } from '../errors.ts';
import { Status } from '../wire/status.ts';
import type { FileId } from '../wire/file-id.ts';
import { Enumeration } from '../open/enumeration.ts';
import { Open } from '../open/open.ts';
import type { Request } from '../request/request.ts';
import { resolve } from '../share/path.ts';
import type { Node } from '../share/volume.ts';
import type { ServerState } from './server-state.ts';
import { scanKey } from './suspended-scans.ts';
import type { SuspendedScan } from './suspended-scans.ts';

/**
 * Makes the open of a suspended scan again, with the same FileId.
 * @throws StatusError FILE_CLOSED when there is no such scan, it belongs to another client, or its directory is gone.
 */
export async function resumeScan(request: Request, server: ServerState, fileId: FileId): Promise<Open> {
  const { scans } = server;
  const key = scanKey(fileId);
  const scan = await scans.take(key);
  if (!scan) return fail(Status.FILE_CLOSED);
  if (!belongs(request, server, scan)) {
    scans.keep(key, scan);
    return fail(Status.FILE_CLOSED);
  }
  try {
    return await openAgain(request, server, scan, fileId);
  } catch (error) {
    if (isGone(error)) return fail(Status.FILE_CLOSED);
    // Temporary failure: keep the scan, since the client may ask again.
    scans.keep(key, scan);
    throw error;
  }
}

function belongs(
  { context, connection, session, tree }: Request,
  server: ServerState,
  scan: SuspendedScan,
): boolean {
  return (
    tree.share?.name === scan.share &&
    session.clientGuid.toString('hex') === scan.clientGuid &&
    session.identity.userName.toLowerCase() === scan.userName &&
    session.opens.size < context.limits.maxOpensPerSession &&
    !server.opens.isFull(connection.address)
  );
}

async function openAgain(
  request: Request,
  server: ServerState,
  scan: SuspendedScan,
  fileId: FileId,
): Promise<Open> {
  const { context, session, share, tree } = request;
  const node = await directoryOf(request, scan);
  request.throwIfAbandoned();
  const open = new Open(context, server, share.fileOf(node), tree, {
    volatileId: Number(fileId.volatile),
    persistentId: fileId.persistent,
    grantedAccess: scan.grantedAccess & share.maximalAccess,
    shareAccess: scan.shareAccess,
    options: scan.options,
    isDirectory: true,
    posix: scan.posix,
    alias: BigInt(scan.alias ?? 0),
  });
  server.opened(session, request.connection.address, open);
  try {
    open.enumeration = await Enumeration.resume(open, scan.pattern, scan.place, request);
    request.throwIfAbandoned();
    return open;
  } catch (error) {
    open.dispose();
    throw error;
  }
}

async function directoryOf(request: Request, { path, nodeId }: SuspendedScan): Promise<Node> {
  const { share } = request;
  const found = await resolve(
    share,
    { names: path, stream: undefined },
    { caseSensitive: true, openLink: true, maxHops: 0 },
    request,
  );
  if (!found.node) return fail(Status.FILE_CLOSED);
  const { id, kind } = await share.backend.attributes(found.node, request);
  return kind === 'directory' && String(id) === nodeId ? found.node : fail(Status.FILE_CLOSED);
}

const gone: ReadonlySet<number> = new Set([
  Status.FILE_CLOSED,
  Status.OBJECT_NAME_NOT_FOUND,
  Status.OBJECT_PATH_NOT_FOUND,
]);
const isGone = (error: unknown): boolean => error instanceof StatusError && gone.has(error.status);
