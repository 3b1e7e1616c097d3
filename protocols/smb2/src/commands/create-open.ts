/**
 * Opens or creates the object of a CREATE ([MS-SMB2] 3.3.5.9, [MS-FSA] 2.1.5.1). Phases: find or make the object,
 * authorise, check share modes and break caches, register the open, complete it.
 */
import type { NodeAttributes } from '../backend.ts';
import { randomId } from '../context/random-id.ts';
import { fail, StatusError } from '../errors.ts';
import type { FileState } from '../file/file-state.ts';
import { breakForOpen, checkLeaseKey, existingLease, grantCaching } from '../file/granting.ts';
import { leaseId } from '../file/lease.ts';
import type { ParsedPath } from '../names/path-name.ts';
import { watchForLeases } from '../open/lease-watch.ts';
import { Open } from '../open/open.ts';
import type { ServerState } from '../registry/server-state.ts';
import type { Request } from '../request/request.ts';
import { mapGeneric } from '../security/index.ts';
import { grantAccess, storeNewDescriptor } from '../share/access.ts';
import { resolve } from '../share/path.ts';
import type { Resolved } from '../share/path.ts';
import type { Node } from '../share/volume.ts';
import {
  Access,
  CreateAction,
  CreateOption,
  Disposition,
  FileAttribute,
  ShareAccess,
  SETTABLE_ATTRIBUTES,
} from '../wire/constants.ts';
import { Status } from '../wire/status.ts';
import { cachingClient } from './caching-client.ts';
import type { RequestContexts } from './create-contexts/request.ts';
import { requestDurability } from './create-durable.ts';
import type { CreateBody } from './create-parameters.ts';
import { applyExtendedAttributes } from './extended-attributes.ts';

export interface CreateCall {
  readonly request: Request;
  readonly server: ServerState;
  readonly path: ParsedPath;
  readonly posix: boolean;
  readonly body: CreateBody;
  readonly contexts: RequestContexts;
}

export interface Opened {
  readonly open: Open;
  /** CreateAction of the reply. */
  readonly action: number;
}

/** The object to open. */
interface Target {
  readonly node: Node;
  readonly attributes: NodeAttributes;
  /** Alias id when links were followed on the way. */
  readonly alias: bigint;
  /** Whether this CREATE made the object. */
  readonly isNew: boolean;
  /** Whether this CREATE replaces the content. */
  readonly overwrites: boolean;
}

interface Authorised extends Target {
  /** Rights of the open. */
  readonly access: number;
  /** Rights that the checks use. Overwriting also needs the right to write. */
  readonly neededAccess: number;
}

/** Rights that need the content, and so an open in the backend. */
const CONTENT = Access.READ_DATA | Access.WRITE_DATA | Access.APPEND_DATA | Access.EXECUTE;
const WRITES = Access.WRITE_DATA | Access.APPEND_DATA;

const replaces = (disposition: number): boolean =>
  disposition === Disposition.SUPERSEDE ||
  disposition === Disposition.OVERWRITE ||
  disposition === Disposition.OVERWRITE_IF;

const hasOption = ({ body }: CreateCall, option: number): boolean => (body.options & option) !== 0;

export async function openFile(call: CreateCall): Promise<Opened> {
  const parentKey = call.contexts.lease?.parentKey;
  call.request.createsUnder = parentKey && leaseId(call.request.session.clientGuid, parentKey);
  for (;;) {
    call.request.throwIfAbandoned();
    const opened = await attempt(call);
    // Undefined: try again. The way is clear now, or another CREATE made the object in the meantime.
    if (opened) return opened;
  }
}

async function attempt(call: CreateCall): Promise<Opened | undefined> {
  const target = await find(call);
  if (!target) return undefined;
  if (target.isNew && call.path.stream === undefined) return await openNew(call, target);
  const authorised = await authorise(call, target);
  const { share } = call.request;
  const file = share.fileOf(target.node);
  try {
    if (!(await clearTheWay(call, file, authorised))) return undefined;
    // No await between the last check and this line, or the check could be outdated.
    const open = register(call, file, authorised);
    return await complete(call, open, authorised);
  } finally {
    share.release(file);
  }
}

/** Finds the object or makes it. Returns undefined when another CREATE made it in the meantime. */
async function find(call: CreateCall): Promise<Target | undefined> {
  const { request, body, path } = call;
  const { share, context } = request;
  const { changes } = share.backend;
  if (path.isContent === true && changes && !changes.streams) return fail(Status.OBJECT_NAME_INVALID);
  const found = await resolve(
    share,
    path,
    {
      caseSensitive: call.posix,
      openLink: hasOption(call, CreateOption.OPEN_REPARSE_POINT),
      maxHops: context.limits.maxSymlinkHops,
    },
    request,
  );
  if (path.stream !== undefined) return await findStream(call, found, path.stream);
  if (!found.node) return await makeNew(call, found);
  const attributes = await share.backend.attributes(found.node, request);
  checkExisting(call, attributes);
  const { node, alias } = found;
  return { node, attributes, alias, isNew: false, overwrites: replaces(body.disposition) };
}

/** Finds the stream of a file. Makes the file first when a stream is to be created and the file does not exist. */
async function findStream(call: CreateCall, found: Resolved, stream: string): Promise<Target> {
  const { request, body } = call;
  const { share } = request;
  const changes = share.backend.changes;
  if (!changes?.streams) return fail(changes ? Status.OBJECT_NAME_INVALID : Status.OBJECT_NAME_NOT_FOUND);
  const makes = body.disposition !== Disposition.OPEN && body.disposition !== Disposition.OVERWRITE;
  if (hasOption(call, CreateOption.DIRECTORY_FILE)) return fail(Status.NOT_A_DIRECTORY);
  let base = found.node;
  if (!base) {
    if (!makes || !found.directory) return fail(Status.OBJECT_NAME_NOT_FOUND);
    base = await makeNode(call, found.directory, found.name, 'file');
  }
  if (share.files.get(base)?.deletePending === true) return fail(Status.DELETE_PENDING);
  const existing = await changes.streams.lookup(base, stream);
  if (!existing && !makes) return fail(Status.OBJECT_NAME_NOT_FOUND);
  const node = existing ?? (await changes.streams.create(base, stream));
  const attributes = await share.backend.attributes(node, request);
  if (existing) checkExisting(call, attributes);
  return {
    node,
    attributes,
    alias: found.alias,
    isNew: !existing,
    overwrites: existing !== undefined && replaces(body.disposition),
  };
}

function checkExisting(call: CreateCall, attributes: NodeAttributes): void {
  const { body, path } = call;
  const isDirectory = attributes.kind === 'directory';
  if (isDirectory && path.isContent === true)
    fail(hasOption(call, CreateOption.DIRECTORY_FILE) ? Status.NOT_A_DIRECTORY : Status.FILE_IS_A_DIRECTORY);
  if (body.disposition === Disposition.CREATE) fail(Status.OBJECT_NAME_COLLISION);
  if (isDirectory && hasOption(call, CreateOption.NON_DIRECTORY_FILE)) fail(Status.FILE_IS_A_DIRECTORY);
  if (!isDirectory && hasOption(call, CreateOption.DIRECTORY_FILE)) fail(Status.NOT_A_DIRECTORY);
  if (!replaces(body.disposition)) return;
  if (isDirectory) fail(Status.OBJECT_NAME_COLLISION);
  // [MS-FSA] 2.1.5.1.2: hidden and system files are overwritten only when the request sets the same attributes.
  const kept = attributes.dosAttributes & (FileAttribute.HIDDEN | FileAttribute.SYSTEM);
  if ((kept & ~body.fileAttributes) !== 0) fail(Status.ACCESS_DENIED);
}

async function authorise(call: CreateCall, target: Target): Promise<Authorised> {
  const { request, body } = call;
  const { node, attributes, overwrites } = target;
  const desired = body.desiredAccess | (overwrites ? Access.WRITE_DATA : 0);
  const granted = await grantAccess(request.share, node, request, attributes, desired);
  const wantsToWrite = (mapGeneric(body.desiredAccess) & (Access.WRITE_DATA | Access.MAXIMUM_ALLOWED)) !== 0;
  const access = overwrites && !wantsToWrite ? granted & ~Access.WRITE_DATA : granted;
  await checkDeleteOnClose(call, target);
  return { ...target, access, neededAccess: granted };
}

async function checkDeleteOnClose(call: CreateCall, { node, attributes }: Target): Promise<void> {
  if (!hasOption(call, CreateOption.DELETE_ON_CLOSE)) return;
  if ((attributes.dosAttributes & FileAttribute.READONLY) !== 0) fail(Status.CANNOT_DELETE);
  const { share } = call.request;
  if (attributes.kind === 'directory' && (await share.backend.list(node, call.request)).length > 0)
    fail(Status.DIRECTORY_NOT_EMPTY);
}

/** Checks share modes and breaks caches. Returns false after a wait: the checks must be repeated. */
async function clearTheWay(call: CreateCall, file: FileState, target: Authorised): Promise<boolean> {
  const { request, body } = call;
  const { neededAccess: access, overwrites } = target;
  const own = existingLease(cachingClient(request, call.server), call.contexts.lease);
  if (own && own.opens.size > 0) checkLeaseKey(own, file);
  if (file.deletePending) fail(Status.DELETE_PENDING);
  const isConflict = file.sharingConflict(access, body.shareAccess, request.session);
  if ((access & Access.DELETE) !== 0 && streamForbidsDelete(file)) fail(Status.SHARING_VIOLATION);
  const wait = breakForOpen(file, { access, own, isConflict, overwrites });
  if (wait) {
    request.goAsync();
    await file.nextChange(request.signal);
    return false;
  }
  // The break may have closed a preserved open.
  if (isConflict && file.sharingConflict(access, body.shareAccess, request.session))
    fail(Status.SHARING_VIOLATION);
  return true;
}

/** An open stream that does not share DELETE protects its file from deletion ([MS-FSA] 2.1.5.1.2.2). */
const streamForbidsDelete = (file: FileState): boolean =>
  file.openStreams().some((open) => (open.shareAccess & ShareAccess.DELETE) === 0);

function register(call: CreateCall, file: FileState, target: Authorised): Open {
  const { request, server, body, contexts } = call;
  const { tree, share, session, context } = request;
  const open = new Open(context, server, file, tree, {
    volatileId: randomId(),
    persistentId: server.newPersistentId(share, file.node, target.attributes.id),
    grantedAccess: target.access,
    shareAccess: body.shareAccess,
    options: body.options,
    isDirectory: target.attributes.kind === 'directory',
    posix: call.posix,
    alias: target.alias,
    parentLease: request.createsUnder,
  });
  server.opened(session, request.connection.address, open);
  grantCaching(cachingClient(request, server), open, {
    oplockLevel: body.oplockLevel,
    lease: contexts.lease,
    overwrites: target.overwrites,
  });
  watchForLeases(open);
  requestDurability(request, open, contexts.durable);
  return open;
}

/** The steps after the open is registered. A failure removes the open again. */
async function complete(call: CreateCall, open: Open, target: Target): Promise<Opened> {
  const { request, body, contexts } = call;
  try {
    const { backend } = open.share;
    if (!open.isDirectory && (open.grantedAccess & CONTENT) !== 0) {
      const write = (open.grantedAccess & WRITES) !== 0 && !open.share.readOnly;
      open.backend = await backend.open(open.node, { write }, request);
    }
    if (target.overwrites && backend.changes) {
      await backend.changes.truncate(open.node, 0, request);
      const dosAttributes = (body.fileAttributes & SETTABLE_ATTRIBUTES) | FileAttribute.ARCHIVE;
      await backend.changes.setAttributes(open.node, { dosAttributes }, request);
    }
    if ((target.overwrites || target.isNew) && contexts.extendedAttributes)
      await applyExtendedAttributes(open.share, open.node, contexts.extendedAttributes);
    if (hasOption(call, CreateOption.DELETE_ON_CLOSE)) open.deleteOnClose = true;
    return { open, action: actionOf(call, target) };
  } catch (error) {
    open.deleteOnClose = false;
    open.dispose();
    throw error;
  }
}

function actionOf({ body }: CreateCall, { isNew, overwrites }: Target): number {
  if (isNew) return CreateAction.CREATED;
  if (!overwrites) return CreateAction.OPENED;
  return body.disposition === Disposition.SUPERSEDE ? CreateAction.SUPERSEDED : CreateAction.OVERWRITTEN;
}

/** Makes the object. Returns undefined when another CREATE made it in the meantime. */
async function makeNew(call: CreateCall, found: Resolved): Promise<Target | undefined> {
  const { request, body } = call;
  const isMissing = body.disposition === Disposition.OPEN || body.disposition === Disposition.OVERWRITE;
  if (isMissing || !found.directory) return fail(Status.OBJECT_NAME_NOT_FOUND);
  const own = existingLease(cachingClient(request, call.server), call.contexts.lease);
  if (own && own.opens.size > 0) return fail(Status.INVALID_PARAMETER);
  const isReadOnly = (body.fileAttributes & FileAttribute.READONLY) !== 0;
  if (hasOption(call, CreateOption.DELETE_ON_CLOSE) && isReadOnly) return fail(Status.CANNOT_DELETE);
  const kind = hasOption(call, CreateOption.DIRECTORY_FILE) ? 'directory' : 'file';
  let node: Node;
  try {
    node = await makeNode(call, found.directory, found.name, kind);
  } catch (error) {
    const raced = error instanceof StatusError && error.status === Status.OBJECT_NAME_COLLISION;
    if (raced && body.disposition !== Disposition.CREATE) return undefined;
    throw error;
  }
  const attributes = await request.share.backend.attributes(node, request);
  return { node, attributes, alias: found.alias, isNew: true, overwrites: false };
}

/** The creator of an object gets all rights it asks for. No other open can conflict yet. */
async function openNew(call: CreateCall, target: Target): Promise<Opened> {
  const wanted = mapGeneric(call.body.desiredAccess);
  const access =
    (wanted & Access.MAXIMUM_ALLOWED) === 0 ? wanted : Access.ALL | (wanted & ~Access.MAXIMUM_ALLOWED);
  if ((wanted & Access.SYSTEM_SECURITY) !== 0) return fail(Status.PRIVILEGE_NOT_HELD);
  const file = call.request.share.fileOf(target.node);
  return await complete(call, register(call, file, { ...target, access, neededAccess: access }), target);
}

async function makeNode(
  call: CreateCall,
  directory: Node,
  name: string,
  kind: 'file' | 'directory',
): Promise<Node> {
  const { request, body, contexts } = call;
  const { share } = request;
  const { changes } = share.backend;
  if (!changes) return fail(Status.ACCESS_DENIED);
  if (share.files.get(directory)?.deletePending === true) return fail(Status.DELETE_PENDING);
  const above = await share.backend.attributes(directory, request);
  const right = kind === 'file' ? Access.WRITE_DATA : Access.APPEND_DATA;
  await grantAccess(share, directory, request, above, right);
  const inherited = hasOption(call, CreateOption.NO_COMPRESSION)
    ? 0
    : above.dosAttributes & FileAttribute.COMPRESSED;
  const dosAttributes =
    (body.fileAttributes & SETTABLE_ATTRIBUTES) | (kind === 'file' ? FileAttribute.ARCHIVE : 0) | inherited;
  const node = await changes.create(
    directory,
    name,
    { kind, dosAttributes, ...(contexts.posixMode === undefined ? {} : { mode: contexts.posixMode }) },
    request,
  );
  await storeNewDescriptor(share, directory, node, request, {
    kind,
    explicit: contexts.descriptor,
    parentAttributes: above,
  });
  return node;
}
