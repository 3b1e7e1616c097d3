/** SET_INFO of files, one row for each information class ([MS-FSCC] 2.4, [MS-FSA] 2.1.5.15). */
import type { Awaitable, SetAttributes, ShareChanges } from '../backend.ts';
import { fail } from '../errors.ts';
import { KNOWN_MODES } from '../open/open.ts';
import type { Open } from '../open/open.ts';
import type { Request } from '../request/request.ts';
import type { Node } from '../share/volume.ts';
import { Access, FileAttribute, SETTABLE_ATTRIBUTES } from '../wire/constants.ts';
import * as info from '../wire/fscc/file-info.ts';
import { Status } from '../wire/status.ts';
import { applyExtendedAttributes } from './extended-attributes.ts';
import { link, rename } from './rename.ts';

const { FileClass } = info;

export interface SetFileClassRow {
  readonly fixed: number;
  readonly access: number;
  readonly apply: (request: Request, open: Open, data: Buffer) => Awaitable<void>;
}

const changesOf = (open: Open): ShareChanges<Node> =>
  open.share.backend.changes ?? fail(Status.MEDIA_WRITE_PROTECTED);

/** Times that mean "do not change", or "stop" and "resume" automatic updates ([MS-FSCC] 2.4.7). */
const UNCHANGED = new Set([0n, 0xffffffffffffffffn, 0xfffffffffffffffen]);

async function setBasic(request: Request, open: Open, data: Buffer): Promise<void> {
  const changes = changesOf(open);
  const basic = info.basicInfo.decode(data);
  const { fileAttributes } = basic;
  if (!open.isDirectory && (fileAttributes & FileAttribute.DIRECTORY) !== 0) fail(Status.INVALID_PARAMETER);
  if (open.isDirectory && (fileAttributes & FileAttribute.TEMPORARY) !== 0) fail(Status.INVALID_PARAMETER);
  const time = (
    name: 'creationTime' | 'lastAccessTime' | 'lastWriteTime' | 'changeTime',
  ): Partial<SetAttributes> => (UNCHANGED.has(basic[name]) ? {} : { [name]: basic[name] });
  const attributes = await open.share.backend.attributes(open.node, request);
  const kept = attributes.dosAttributes & ~SETTABLE_ATTRIBUTES & ~FileAttribute.NORMAL;
  await changes.setAttributes(
    open.node,
    {
      ...time('creationTime'),
      ...time('lastAccessTime'),
      ...time('lastWriteTime'),
      ...time('changeTime'),
      ...(fileAttributes === 0 ? {} : { dosAttributes: (fileAttributes & SETTABLE_ATTRIBUTES) | kept }),
    },
    request,
  );
}

async function setEndOfFile(request: Request, open: Open, data: Buffer): Promise<void> {
  const changes = changesOf(open);
  const { size } = info.sizeInfo.decode(data);
  if (open.isDirectory || size > Number.MAX_SAFE_INTEGER) return fail(Status.INVALID_PARAMETER);
  open.file.breakReadCaches(open);
  await changes.truncate(open.node, size, request);
}

/** Reserves no space. An allocation smaller than the file cuts the file. */
async function setAllocation(request: Request, open: Open, data: Buffer): Promise<void> {
  const changes = changesOf(open);
  const { size } = info.sizeInfo.decode(data);
  if (open.isDirectory || size > Number.MAX_SAFE_INTEGER) return fail(Status.INVALID_PARAMETER);
  const attributes = await open.share.backend.attributes(open.node, request);
  open.file.breakReadCaches(open);
  if (size < attributes.size) await changes.truncate(open.node, size, request);
}

const setDisposition = (request: Request, open: Open, data: Buffer): Promise<void> =>
  markForDeletion(request, open, info.dispositionInfo.decode(data).deletePending, false);

const setDispositionEx = (request: Request, open: Open, data: Buffer): Promise<void> => {
  const { flags } = info.dispositionInfoEx.decode(data);
  const ignoresReadOnly = (flags & info.DISPOSITION_IGNORE_READONLY) !== 0;
  return markForDeletion(request, open, (flags & info.DISPOSITION_DELETE) !== 0, ignoresReadOnly);
};

async function markForDeletion(
  request: Request,
  open: Open,
  deletes: boolean,
  ignoresReadOnly: boolean,
): Promise<void> {
  changesOf(open);
  if (!deletes) {
    open.file.deletePending = false;
    return;
  }
  const { backend } = open.share;
  const attributes = await backend.attributes(open.node, request);
  const isReadOnly = (attributes.dosAttributes & FileAttribute.READONLY) !== 0;
  if ((isReadOnly && !ignoresReadOnly) || open.node === backend.root) return fail(Status.CANNOT_DELETE);
  if (open.isDirectory && (await backend.list(open.node, request)).length > 0)
    return fail(Status.DIRECTORY_NOT_EMPTY);
  open.file.breakHandleCaches(open);
  open.file.deletePending = true;
  if (open.isDirectory) open.file.notifyDeleted();
}

function setPosition(_request: Request, open: Open, data: Buffer): void {
  const { currentOffset } = info.positionInfo.decode(data);
  if (currentOffset > Number.MAX_SAFE_INTEGER) fail(Status.INVALID_PARAMETER);
  open.position = currentOffset;
}

function setMode(_request: Request, open: Open, data: Buffer): void {
  const { mode } = info.modeInfo.decode(data);
  if ((mode & ~KNOWN_MODES) !== 0) fail(Status.INVALID_PARAMETER);
  open.mode = mode;
}

async function setFullEa(_request: Request, open: Open, data: Buffer): Promise<void> {
  changesOf(open);
  await applyExtendedAttributes(open.share, open.node, data);
}

const { WRITE_ATTRIBUTES, WRITE_DATA, WRITE_EA, DELETE } = Access;

/** By FileInformationClass. */
export const setFileClasses: ReadonlyMap<number, SetFileClassRow> = new Map<number, SetFileClassRow>([
  [FileClass.BASIC, { fixed: 40, access: WRITE_ATTRIBUTES, apply: setBasic }],
  [FileClass.RENAME, { fixed: 20, access: DELETE, apply: rename }],
  [FileClass.RENAME_EX, { fixed: 20, access: DELETE, apply: rename }],
  [FileClass.LINK, { fixed: 20, access: 0, apply: link }],
  [FileClass.DISPOSITION, { fixed: 1, access: DELETE, apply: setDisposition }],
  [FileClass.DISPOSITION_EX, { fixed: 4, access: DELETE, apply: setDispositionEx }],
  [FileClass.POSITION, { fixed: 8, access: 0, apply: setPosition }],
  [FileClass.FULL_EA, { fixed: 8, access: WRITE_EA, apply: setFullEa }],
  [FileClass.MODE, { fixed: 4, access: 0, apply: setMode }],
  [FileClass.ALLOCATION, { fixed: 8, access: WRITE_DATA, apply: setAllocation }],
  [FileClass.END_OF_FILE, { fixed: 8, access: WRITE_DATA, apply: setEndOfFile }],
  [FileClass.VALID_DATA_LENGTH, { fixed: 8, access: WRITE_DATA, apply: () => undefined }],
]);
