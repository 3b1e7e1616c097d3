/** Opens or creates the object a CREATE names ([MS-SMB2] 3.3.5.9, [MS-FSA] 2.1.5.1). */
import type { NodeAttributes } from '../backend.ts';
import { fail, StatusError } from '../errors.ts';
import { mapGeneric } from '../security/index.ts';
import { grantAccess, storeNewDescriptor } from '../session/access.ts';
import type { FileState } from '../session/file-state.ts';
import { breakForOpen, checkLeaseKey, existingLease, grantCaching } from '../session/granting.ts';
import type { ParsedPath } from '../names/path-name.ts';
import { Open } from '../session/open.ts';
import { resolve } from '../session/path.ts';
import type { Resolved } from '../session/path.ts';
import { randomId } from '../session/random-id.ts';
import type { Request } from '../session/request.ts';
import type { Node } from '../session/share.ts';
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
import { watchForLeases } from '../session/lease-watch.ts';
import { requestDurability } from './create-durable.ts';
import type { RequestContexts } from './create-contexts/request.ts';
import type { CreateBody } from './create-parameters.ts';
import { applyExtendedAttributes } from './extended-attributes.ts';

export interface CreateCall {
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

/** Rights that need the content, and so the backend's open. */
const CONTENT = Access.READ_DATA | Access.WRITE_DATA | Access.APPEND_DATA | Access.EXECUTE;
const WRITES = Access.WRITE_DATA | Access.APPEND_DATA;

const replaces = (disposition: number): boolean =>
  disposition === Disposition.SUPERSEDE ||
  disposition === Disposition.OVERWRITE ||
  disposition === Disposition.OVERWRITE_IF;

export async function openFile(request: Request, call: CreateCall): Promise<Opened> {
  const { share, server } = request;
  for (;;) {
    request.throwIfAbandoned();
    const found = await resolve(
      share,
      call.path,
      {
        caseSensitive: call.posix,
        openLink: (call.body.options & CreateOption.OPEN_REPARSE_POINT) !== 0,
        maxHops: server.limits.maxSymlinkHops,
      },
      request,
    );
    const { node, isNewBase } = await withStream(request, call, found);
    const opened = node
      ? await openExisting(request, call, node, isNewBase)
      : await createNew(request, call, found);
    // Undefined: something stood in the way and is gone now, or came to be meanwhile.
    if (opened) return opened;
  }
}

/** Goes from a file to its stream; a file that is missing below a stream to create is made first. */
async function withStream(
  request: Request,
  call: CreateCall,
  found: Resolved,
): Promise<{ node: Node | undefined; isNewBase: boolean }> {
  const { stream } = call.path;
  if (stream === undefined) return { node: found.node, isNewBase: false };
  const changes = request.share.backend.changes;
  if (!changes?.streams) return fail(Status.OBJECT_NAME_NOT_FOUND);
  const makes = call.body.disposition !== Disposition.OPEN && call.body.disposition !== Disposition.OVERWRITE;
  if ((call.body.options & CreateOption.DIRECTORY_FILE) !== 0) return fail(Status.NOT_A_DIRECTORY);
  let base = found.node;
  if (!base) {
    if (!makes || !found.directory) return fail(Status.OBJECT_NAME_NOT_FOUND);
    base = await makeNode(request, call, found.directory, found.name, 'file');
  }
  if (request.share.files.get(base)?.deletePending === true) return fail(Status.DELETE_PENDING);
  const existing = await changes.streams.lookup(base, stream);
  if (existing) return { node: existing, isNewBase: false };
  if (!makes) return fail(Status.OBJECT_NAME_NOT_FOUND);
  return { node: await changes.streams.create(base, stream), isNewBase: true };
}

async function openExisting(
  request: Request,
  call: CreateCall,
  node: Node,
  isNewStream: boolean,
): Promise<Opened | undefined> {
  const { share, session } = request;
  const { body } = call;
  const attributes = await share.backend.attributes(node, request);
  if (!isNewStream) checkExisting(call, attributes);
  const overwrites = !isNewStream && replaces(body.disposition);
  const granted = await grantAccess(
    share,
    node,
    session,
    attributes,
    body.desiredAccess | (overwrites ? Access.WRITE_DATA : 0),
  );
  const access =
    overwrites && (mapGeneric(body.desiredAccess) & (Access.WRITE_DATA | Access.MAXIMUM_ALLOWED)) === 0
      ? granted & ~Access.WRITE_DATA
      : granted;
  await checkDeleteOnClose(request, call, node, attributes);
  const file = share.fileOf(node);
  try {
    if (!(await clearTheWay(request, call, file, overwrites ? granted : access, overwrites)))
      return undefined;
    // Nothing may come between the last check and this.
    const open = register(request, call, file, access, attributes, overwrites);
    return await complete(request, call, open, overwrites ? attributes : undefined, isNewStream);
  } finally {
    share.release(file);
  }
}

function checkExisting({ body, path }: CreateCall, attributes: NodeAttributes): void {
  const isDirectory = attributes.kind === 'directory';
  if (isDirectory && path.isContent === true)
    fail(
      (body.options & CreateOption.DIRECTORY_FILE) === 0
        ? Status.FILE_IS_A_DIRECTORY
        : Status.NOT_A_DIRECTORY,
    );
  if (body.disposition === Disposition.CREATE) fail(Status.OBJECT_NAME_COLLISION);
  if (isDirectory && (body.options & CreateOption.NON_DIRECTORY_FILE) !== 0) fail(Status.FILE_IS_A_DIRECTORY);
  if (!isDirectory && (body.options & CreateOption.DIRECTORY_FILE) !== 0) fail(Status.NOT_A_DIRECTORY);
  if (!replaces(body.disposition)) return;
  if (isDirectory) fail(Status.OBJECT_NAME_COLLISION);
  // [MS-FSA] 2.1.5.1.2: hidden and system files are overwritten only by who knows what they are.
  const kept = attributes.dosAttributes & (FileAttribute.HIDDEN | FileAttribute.SYSTEM);
  if ((kept & ~body.fileAttributes) !== 0) fail(Status.ACCESS_DENIED);
}

async function checkDeleteOnClose(
  request: Request,
  { body }: CreateCall,
  node: Node,
  attributes: NodeAttributes,
): Promise<void> {
  if ((body.options & CreateOption.DELETE_ON_CLOSE) === 0) return;
  if ((attributes.dosAttributes & FileAttribute.READONLY) !== 0) fail(Status.CANNOT_DELETE);
  if (attributes.kind === 'directory' && (await request.share.backend.list(node, request)).length > 0)
    fail(Status.DIRECTORY_NOT_EMPTY);
}

/** Checks share modes and breaks caches; false when the world may have changed while it waited. */
async function clearTheWay(
  request: Request,
  call: CreateCall,
  file: FileState,
  access: number,
  overwrites: boolean,
): Promise<boolean> {
  const own = existingLease(request.session, call.contexts.lease);
  if (own && own.file.opens.size > 0) checkLeaseKey(own, file);
  if (file.deletePending) fail(Status.DELETE_PENDING);
  const isConflict = file.sharingConflict(access, call.body.shareAccess);
  if ((access & Access.DELETE) !== 0 && streamForbidsDelete(file)) fail(Status.SHARING_VIOLATION);
  const wait = breakForOpen(file, { access, own, isConflict, overwrites });
  if (wait) {
    request.goAsync();
    await file.nextChange(request.signal);
    return false;
  }
  // A preserved open may have given way to the break.
  if (isConflict && file.sharingConflict(access, call.body.shareAccess)) fail(Status.SHARING_VIOLATION);
  return true;
}

/** An open stream that does not share DELETE protects its file ([MS-FSA] 2.1.5.1.2.2). */
const streamForbidsDelete = (file: FileState): boolean =>
  file.openStreams().some((open) => (open.shareAccess & ShareAccess.DELETE) === 0);

function register(
  request: Request,
  call: CreateCall,
  file: FileState,
  access: number,
  attributes: NodeAttributes,
  overwrites: boolean,
): Open {
  const { server, tree, share } = request;
  const open = new Open(server, file, tree, {
    volatileId: randomId(),
    persistentId: server.newPersistentId(share, file.node, attributes.id),
    grantedAccess: access,
    shareAccess: call.body.shareAccess,
    options: call.body.options,
    isDirectory: attributes.kind === 'directory',
    posix: call.posix,
  });
  grantCaching(server, open, {
    oplockLevel: call.body.oplockLevel,
    lease: call.contexts.lease,
    overwrites,
  });
  watchForLeases(open);
  requestDurability(request, open, call.contexts.durable);
  return open;
}

/** Everything after the open is in place; a failure takes it back. */
async function complete(
  request: Request,
  { body, contexts }: CreateCall,
  open: Open,
  overwritten: NodeAttributes | undefined,
  isNew: boolean,
): Promise<Opened> {
  try {
    const { backend } = open.share;
    if (!open.isDirectory && (open.grantedAccess & CONTENT) !== 0) {
      const write = (open.grantedAccess & WRITES) !== 0 && !open.share.readOnly;
      open.backend = await backend.open(open.node, { write }, request);
    }
    if (overwritten && backend.changes) {
      await backend.changes.truncate(open.node, 0, request);
      const dosAttributes = (body.fileAttributes & SETTABLE_ATTRIBUTES) | FileAttribute.ARCHIVE;
      await backend.changes.setAttributes(open.node, { dosAttributes }, request);
    }
    if ((overwritten || isNew) && contexts.extendedAttributes)
      await applyExtendedAttributes(open.share, open.node, contexts.extendedAttributes);
    if ((body.options & CreateOption.DELETE_ON_CLOSE) !== 0) open.deleteOnClose = true;
    return { open, action: actionOf(body.disposition, overwritten !== undefined, isNew) };
  } catch (error) {
    open.deleteOnClose = false;
    open.dispose();
    throw error;
  }
}

function actionOf(disposition: number, overwritten: boolean, isNew: boolean): number {
  if (isNew) return CreateAction.CREATED;
  if (!overwritten) return CreateAction.OPENED;
  return disposition === Disposition.SUPERSEDE ? CreateAction.SUPERSEDED : CreateAction.OVERWRITTEN;
}

async function createNew(request: Request, call: CreateCall, found: Resolved): Promise<Opened | undefined> {
  const { body } = call;
  const { share } = request;
  if (body.disposition === Disposition.OPEN || body.disposition === Disposition.OVERWRITE || !found.directory)
    return fail(Status.OBJECT_NAME_NOT_FOUND);
  const own = existingLease(request.session, call.contexts.lease);
  if (own && own.file.opens.size > 0) return fail(Status.INVALID_PARAMETER);
  const isDirectory = (body.options & CreateOption.DIRECTORY_FILE) !== 0;
  if (
    (body.options & CreateOption.DELETE_ON_CLOSE) !== 0 &&
    (body.fileAttributes & FileAttribute.READONLY) !== 0
  )
    return fail(Status.CANNOT_DELETE);
  let node: Node;
  try {
    node = await makeNode(request, call, found.directory, found.name, isDirectory ? 'directory' : 'file');
  } catch (error) {
    const raced = error instanceof StatusError && error.status === Status.OBJECT_NAME_COLLISION;
    if (raced && body.disposition !== Disposition.CREATE) return undefined;
    throw error;
  }
  const attributes = await share.backend.attributes(node, request);
  const wanted = mapGeneric(body.desiredAccess);
  const access =
    (wanted & Access.MAXIMUM_ALLOWED) === 0 ? wanted : Access.ALL | (wanted & ~Access.MAXIMUM_ALLOWED);
  if ((wanted & Access.SYSTEM_SECURITY) !== 0) return fail(Status.PRIVILEGE_NOT_HELD);
  const open = register(request, call, share.fileOf(node), access, attributes, false);
  return await complete(request, call, open, undefined, true);
}

async function makeNode(
  request: Request,
  { body, contexts }: CreateCall,
  directory: Node,
  name: string,
  kind: 'file' | 'directory',
): Promise<Node> {
  const { share, session } = request;
  const { changes } = share.backend;
  if (!changes) return fail(Status.ACCESS_DENIED);
  if (share.files.get(directory)?.deletePending === true) return fail(Status.DELETE_PENDING);
  const above = await share.backend.attributes(directory, request);
  await grantAccess(
    share,
    directory,
    session,
    above,
    kind === 'file' ? Access.WRITE_DATA : Access.APPEND_DATA,
  );
  const dosAttributes =
    (body.fileAttributes & SETTABLE_ATTRIBUTES) | (kind === 'file' ? FileAttribute.ARCHIVE : 0);
  const node = await changes.create(
    directory,
    name,
    { kind, dosAttributes, ...(contexts.posixMode === undefined ? {} : { mode: contexts.posixMode }) },
    request,
  );
  await storeNewDescriptor(share, directory, node, session, {
    kind,
    explicit: contexts.descriptor,
    parentAttributes: above,
  });
  return node;
}
