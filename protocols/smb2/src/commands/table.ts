/** The 19 commands of [MS-SMB2] 2.2.1.2, by number. */
import type { Awaitable } from '../backend.ts';
import type { Reply } from '../context/reply.ts';
import type { ServerState } from '../registry/server-state.ts';
import type { Request } from '../request/request.ts';
import { HEADER_SIZE } from '../wire/constants.ts';
import { cancel } from './cancel.ts';
import { changeNotify } from './change-notify.ts';
import { close } from './close.ts';
import { create } from './create.ts';
import { echo } from './echo.ts';
import { flush } from './flush.ts';
import { controlActsOnOpen } from './fsctl/table.ts';
import { ioctl } from './ioctl.ts';
import { lock } from './lock.ts';
import { logoff } from './logoff.ts';
import { negotiate } from './negotiate.ts';
import { oplockBreak } from './oplock-break.ts';
import { queryDirectory } from './query-directory.ts';
import { queryInfo } from './query-info.ts';
import { read } from './read.ts';
import { sessionSetup } from './session-setup.ts';
import { setInfo } from './set-info.ts';
import { treeConnect } from './tree-connect.ts';
import { treeDisconnect } from './tree-disconnect.ts';
import { write } from './write.ts';

export interface CommandRow {
  readonly name: string;
  /** StructureSize of the request. */
  readonly structureSize: number;
  /** Other allowed values of StructureSize. */
  readonly structureSizes?: readonly number[];
  /** `session`: needs a valid session. `tree`: also needs a tree connect. */
  readonly session: boolean;
  readonly tree: boolean;
  /** Offset of the FileId in the body, when the request acts on an open. */
  readonly fileId?: number;
  /** Returns false when this request does not use its FileId. */
  readonly actsOnOpen?: (packet: Buffer) => boolean;
  /** Handled even without such an open: it may belong to a client whose connection was lost. */
  readonly resumes?: true;
  /** Refused when the request arrives late after a channel failure ([MS-SMB2] 3.3.5.2.10). */
  readonly changes?: true;
  /** Makes an open. Related requests use that open, or fail with the same status. */
  readonly opens?: true;
  /** Waits for the other requests on its open, so no request must wait for it. */
  readonly ends?: true;
  /** Bytes that the credit charge must cover ([MS-SMB2] 3.3.5.2.5). */
  readonly payload?: (packet: Buffer) => number;
  /** Returns undefined to send no reply. */
  readonly handle: (request: Request, server: ServerState) => Awaitable<Reply | undefined>;
}

const u32 =
  (at: number) =>
  (packet: Buffer): number =>
    packet.readUInt32LE(HEADER_SIZE + at);
const larger =
  (one: (packet: Buffer) => number, other: (packet: Buffer) => number) =>
  (packet: Buffer): number =>
    Math.max(one(packet), other(packet));

const outside = { session: false, tree: false };
const inSession = { session: true, tree: false };
const inTree = { session: true, tree: true };

export const commands: readonly CommandRow[] = [
  { name: 'NEGOTIATE', structureSize: 36, ...outside, handle: negotiate },
  { name: 'SESSION_SETUP', structureSize: 25, ...outside, handle: sessionSetup },
  { name: 'LOGOFF', structureSize: 4, ...inSession, handle: logoff },
  { name: 'TREE_CONNECT', structureSize: 9, ...inSession, handle: treeConnect },
  { name: 'TREE_DISCONNECT', structureSize: 4, ...inTree, handle: treeDisconnect },
  { name: 'CREATE', structureSize: 57, ...inTree, opens: true, handle: create },
  { name: 'CLOSE', structureSize: 24, ...inTree, fileId: 8, ends: true, handle: close },
  { name: 'FLUSH', structureSize: 24, ...inTree, fileId: 8, handle: flush },
  { name: 'READ', structureSize: 49, ...inTree, fileId: 16, payload: u32(4), handle: read },
  { name: 'WRITE', structureSize: 49, ...inTree, fileId: 16, changes: true, payload: u32(4), handle: write },
  { name: 'LOCK', structureSize: 48, ...inTree, fileId: 8, handle: lock },
  {
    name: 'IOCTL',
    structureSize: 57,
    ...inTree,
    fileId: 8,
    actsOnOpen: (packet) => controlActsOnOpen(packet.readUInt32LE(HEADER_SIZE + 4)),
    changes: true,
    payload: larger(u32(28), u32(44)),
    handle: ioctl,
  },
  { name: 'CANCEL', structureSize: 4, ...outside, handle: cancel },
  { name: 'ECHO', structureSize: 4, ...outside, handle: echo },
  {
    name: 'QUERY_DIRECTORY',
    structureSize: 33,
    ...inTree,
    fileId: 8,
    resumes: true,
    payload: u32(28),
    handle: queryDirectory,
  },
  { name: 'CHANGE_NOTIFY', structureSize: 32, ...inTree, fileId: 8, payload: u32(4), handle: changeNotify },
  {
    name: 'QUERY_INFO',
    structureSize: 41,
    ...inTree,
    fileId: 24,
    payload: larger(u32(4), u32(12)),
    handle: queryInfo,
  },
  {
    name: 'SET_INFO',
    structureSize: 33,
    ...inTree,
    fileId: 16,
    changes: true,
    payload: u32(4),
    handle: setInfo,
  },
  { name: 'OPLOCK_BREAK', structureSize: 24, structureSizes: [36], ...inTree, handle: oplockBreak },
];
