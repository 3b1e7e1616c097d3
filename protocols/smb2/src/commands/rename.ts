/** FileRenameInformation and FileLinkInformation ([MS-FSA] 2.1.5.15.11, 2.1.5.15.6). */
import { fail } from '../errors.ts';
import { grantAccess } from '../share/access.ts';
import { decodeName, parsePath } from '../names/path-name.ts';
import type { OpenView } from '../file/file-state.ts';
import type { Open } from '../open/open.ts';
import { resolve } from '../share/path.ts';
import type { Resolved } from '../share/path.ts';
import type { Request } from '../request/request.ts';
import type { Node } from '../share/volume.ts';
import { Access, ShareAccess } from '../wire/constants.ts';
import { renameInfo } from '../wire/fscc/file-info.ts';
import { Status } from '../wire/status.ts';
import { area } from '../wire/struct.ts';

interface Target {
  readonly name: string;
  readonly replace: boolean;
}

function decodeTarget(data: Buffer): Target {
  const { replaceIfExists, nameLength, rootDirectory } = renameInfo.decode(data);
  if (rootDirectory !== 0n || nameLength === 0) return fail(Status.INVALID_PARAMETER);
  return {
    name: decodeName(area(data, renameInfo.size, nameLength, renameInfo.size)).replace(/^\\/, ''),
    replace: (replaceIfExists & 1) !== 0,
  };
}

export async function rename(request: Request, open: Open, data: Buffer): Promise<void> {
  const { share, file, node } = open;
  const changes = share.backend.changes ?? fail(Status.MEDIA_WRITE_PROTECTED);
  const target = decodeTarget(data);
  if (target.name.startsWith(':')) {
    await renameStream(open, target);
    return;
  }
  if (changes.streams?.owner(node)) return fail(Status.INVALID_PARAMETER);
  if (node === share.backend.root) return fail(Status.INVALID_PARAMETER);
  for (const other of file.opens)
    if (other !== open && (other.shareAccess & ShareAccess.DELETE) === 0 && sharesContent(other))
      return fail(Status.SHARING_VIOLATION);
  while (file.breakHandleCaches(open)) {
    request.goAsync();
    await file.nextChange(request.signal);
    request.throwIfAbandoned();
  }
  if (open.isDirectory && hasOpensBelow(open)) return fail(Status.ACCESS_DENIED);
  const found = await findTarget(request, open, target);
  if (!found.directory) return fail(Status.OBJECT_NAME_COLLISION);
  if (found.node && found.node !== node) await replaceable(request, open, found.node, target.replace);
  await checkDirectory(request, open, found.directory);
  await changes.rename(node, found.directory, found.name, target.replace, request);
}

const sharesContent = (open: OpenView): boolean =>
  (open.grantedAccess &
    (Access.READ_DATA | Access.WRITE_DATA | Access.APPEND_DATA | Access.EXECUTE | Access.DELETE)) !==
  0;

export async function link(request: Request, open: Open, data: Buffer): Promise<void> {
  const changes = open.share.backend.changes ?? fail(Status.MEDIA_WRITE_PROTECTED);
  if (open.isDirectory) return fail(Status.FILE_IS_A_DIRECTORY);
  const target = decodeTarget(data);
  const found = await findTarget(request, open, target);
  if (!found.directory) return fail(Status.OBJECT_NAME_COLLISION);
  if (found.node) await replaceable(request, open, found.node, target.replace);
  await checkDirectory(request, open, found.directory);
  await changes.link(open.node, found.directory, found.name, target.replace, request);
}

function findTarget(request: Request, open: Open, target: Target): Promise<Resolved> {
  const path = parsePath(target.name, open.posix);
  if (path.stream !== undefined) return fail(Status.NOT_SUPPORTED);
  return resolve(
    open.share,
    path,
    { caseSensitive: open.posix, openLink: true, maxHops: request.context.limits.maxSymlinkHops },
    request,
  );
}

/** Checks that the caller may add a name to the directory, and that no open of the directory forbids it. */
async function checkDirectory(request: Request, open: Open, directory: Node): Promise<void> {
  const { share } = open;
  const state = share.files.get(directory);
  if (state?.deletePending === true) return fail(Status.DELETE_PENDING);
  // A rename opens the target's directory without sharing DELETE ([MS-FSA] 2.1.5.15.11).
  for (const other of open.isDirectory ? [] : (state?.opens ?? []))
    if ((other.grantedAccess & Access.DELETE) !== 0) return fail(Status.SHARING_VIOLATION);
  const attributes = await share.backend.attributes(directory, request);
  const right = open.isDirectory ? Access.APPEND_DATA : Access.WRITE_DATA;
  await grantAccess(share, directory, request, attributes, right);
}

async function replaceable(request: Request, open: Open, target: Node, replace: boolean): Promise<void> {
  if (!replace) return fail(Status.OBJECT_NAME_COLLISION);
  const { share } = open;
  const attributes = await share.backend.attributes(target, request);
  const state = share.files.get(target);
  if (attributes.kind === 'directory') return fail(Status.ACCESS_DENIED);
  while (state?.breakHandleCaches(open) === true) {
    request.goAsync();
    await state.nextChange(request.signal);
    request.throwIfAbandoned();
  }
  if (state && state.opens.size > 0) return fail(Status.ACCESS_DENIED);
}

function hasOpensBelow(open: Open): boolean {
  const { share } = open;
  for (const file of share.files.values()) {
    if (file.opens.size === 0 || file === open.file) continue;
    let at: Node | undefined = share.backend.changes?.streams?.owner(file.node)?.node ?? file.node;
    while (at && at !== open.node) at = share.backend.parent(at)?.directory;
    if (at) return true;
  }
  return false;
}

async function renameStream(open: Open, target: Target): Promise<void> {
  const streams = open.share.backend.changes?.streams ?? fail(Status.NOT_SUPPORTED);
  if (!streams.owner(open.node)) return fail(Status.NOT_SUPPORTED);
  const { stream } = parsePath(target.name, false);
  if (stream === undefined) return fail(Status.INVALID_PARAMETER);
  await streams.rename(open.node, stream, target.replace);
}
