/** Server service ([MS-SRVS]): how clients list shares. */
import { FaultError, FaultStatus } from './errors.ts';
import {
  type Operation,
  type PipeServer,
  type PipeSession,
  type PipeShare,
  PLATFORM_ID,
  type RpcInterface,
  VERSION_MAJOR,
  VERSION_MINOR,
  WinError,
} from './interface.ts';
import { type NdrReader, NdrWriter } from './ndr.ts';
import { wireUuid } from './pdu.ts';

/** [MS-SRVS] 2.2.2.4 */
const STYPE_DISKTREE = 0;
const STYPE_IPC = 3;
const STYPE_SPECIAL = 0x80000000;
/** SV_TYPE_WORKSTATION, SERVER, SERVER_UNIX, NT, SERVER_NT ([MS-SRVS] 2.2.2.7). */
const SERVER_TYPE = 0x00009803;
const UNLIMITED = 0xffffffff;
const GUEST_SESSION = 1;
const TOD_INTERVAL = 310;

/** Writes the fixed part of one entry of an information level. */
type Level<T> = (output: NdrWriter, entry: T) => void;

const shareType = (share: PipeShare): number =>
  (share.kind === 'ipc' ? STYPE_IPC : STYPE_DISKTREE) + (share.name.endsWith('$') ? STYPE_SPECIAL : 0);

const share0: Level<PipeShare> = (output, share) => void output.stringPointer(share.name);
const share1: Level<PipeShare> = (output, share) =>
  void output.stringPointer(share.name).u32(shareType(share)).stringPointer(share.comment);
const share2: Level<PipeShare> = (output, share) => {
  share1(output, share);
  output
    .u32(0)
    .u32(UNLIMITED)
    .u32(share.users ?? 0);
  output.stringPointer(share.kind === 'disk' ? `C:\\${share.name}` : '').stringPointer(undefined);
};
const share501: Level<PipeShare> = (output, share) => {
  share1(output, share);
  output.u32(0);
};
const share502: Level<PipeShare> = (output, share) => {
  share2(output, share);
  output.u32(0).u32(0);
};

/** SHARE_INFO_0 … SHARE_INFO_502_I ([MS-SRVS] 2.2.4.22 to 2.2.4.26). */
const SHARE_LEVELS: ReadonlyMap<number, Level<PipeShare>> = new Map([
  [0, share0],
  [1, share1],
  [2, share2],
  [501, share501],
  [502, share502],
]);
/** [MS-SRVS] 2.2.4.28 and 2.2.4.29 */
const SHARE_GET_LEVELS: ReadonlyMap<number, Level<PipeShare>> = new Map([
  ...SHARE_LEVELS,
  [1004, (output: NdrWriter, share: PipeShare) => void output.stringPointer(share.comment)],
  [1005, (output: NdrWriter) => void output.u32(0)],
]);

const clientName = (session: PipeSession): string => `\\\\${session.client}`;
const sessionTimes: Level<PipeSession> = (output, session) => {
  output
    .u32(session.opens)
    .u32(session.seconds)
    .u32(session.idleSeconds)
    .u32(session.guest ? GUEST_SESSION : 0);
};
const session1: Level<PipeSession> = (output, session) => {
  output.stringPointer(clientName(session)).stringPointer(session.userName);
  sessionTimes(output, session);
};
/** SESSION_INFO_0, 1, 2, 10, 502 ([MS-SRVS] 2.2.4.11 to 2.2.4.15). */
const SESSION_LEVELS: ReadonlyMap<number, Level<PipeSession>> = new Map<number, Level<PipeSession>>([
  [0, (output, session) => void output.stringPointer(clientName(session))],
  [1, session1],
  [
    2,
    (output, session) => {
      session1(output, session);
      output.stringPointer('');
    },
  ],
  [
    10,
    (output, session) => {
      output.stringPointer(clientName(session)).stringPointer(session.userName);
      output.u32(session.seconds).u32(session.idleSeconds);
    },
  ],
  [
    502,
    (output, session) => {
      session1(output, session);
      output.stringPointer('').stringPointer('');
    },
  ],
]);

/** The server reports no connections. Levels: [MS-SRVS] 2.2.4.1 and 2.2.4.2. */
const CONNECTION_LEVELS: ReadonlyMap<number, Level<never>> = new Map([
  [0, () => undefined],
  [1, () => undefined],
]);

/**
 * Common part of NetrShareEnum, NetrSessionEnum and NetrConnectionEnum. Arguments: an enumeration structure of one
 * level, a preferred length, and a handle to resume.
 */
function enumerate<T>(
  input: NdrReader,
  levels: ReadonlyMap<number, Level<T>>,
  entries: readonly T[],
  bytesOf: (entry: T) => number,
): Buffer {
  const level = input.u32();
  const output = new NdrWriter();
  if (input.u32() !== level) throw new FaultError(FaultStatus.BAD_STUB_DATA, 'union tag is not the level');
  output.u32(level).u32(level);
  const write = levels.get(level);
  if (write === undefined) return output.u32(0).u32(0).u32(0).u32(WinError.INVALID_LEVEL).done();
  input.unique(() => skipContainer(input));
  const preferred = input.u32();
  const resume = input.unique(() => input.u32());
  const start = Math.min(resume ?? 0, entries.length);
  const end = start + fitting(entries.slice(start), bytesOf, preferred);
  const page = entries.slice(start, end);
  output
    .pointer(page, () => {
      output.u32(page.length).pointer(page.length === 0 ? undefined : page, () => {
        output.u32(page.length);
        for (const entry of page) write(output, entry);
      });
    })
    .flush();
  output.u32(entries.length - start);
  const more = end < entries.length;
  output.pointer(resume, () => output.u32(more ? end : 0)).flush();
  const code = more ? (page.length === 0 ? WinError.BUFFER_TOO_SMALL : WinError.MORE_DATA) : WinError.SUCCESS;
  return output.u32(code).done();
}

/** The container in a request must be empty: EntriesRead, then a NULL or empty Buffer. */
function skipContainer(input: NdrReader): void {
  input.u32();
  const entries = input.unique(() => input.u32()) ?? 0;
  if (entries !== 0) throw new FaultError(FaultStatus.BAD_STUB_DATA, 'entries in a request to enumerate');
}

/** How many entries fit into `preferred` bytes. 0xFFFFFFFF means no limit ([MS-SRVS] 3.1.4.8). */
function fitting<T>(entries: readonly T[], bytesOf: (entry: T) => number, preferred: number): number {
  if (preferred === UNLIMITED) return entries.length;
  let room = preferred;
  const index = entries.findIndex((entry) => (room -= bytesOf(entry)) < 0);
  return index === -1 ? entries.length : index;
}

const FIXED_ENTRY_BYTES = 40;
const textBytes = (...texts: string[]): number =>
  texts.reduce((sum, text) => sum + 2 * (text.length + 1), FIXED_ENTRY_BYTES);

/** NetrShareEnum ([MS-SRVS] 3.1.4.8). */
const shareEnum: Operation = (input, server) => {
  input.unique(() => input.string());
  return enumerate(input, SHARE_LEVELS, server.shares(), (share) => textBytes(share.name, share.comment));
};

/** NetrSessionEnum ([MS-SRVS] 3.1.4.5), filtered by client and user name. */
const sessionEnum: Operation = (input, server) => {
  input.unique(() => input.string());
  const client = input.unique(() => input.string()) ?? '';
  const user = input.unique(() => input.string()) ?? '';
  const sessions = (server.sessions?.() ?? []).filter(
    (session) =>
      (client === '' || sameName(client, clientName(session))) &&
      (user === '' || sameName(user, session.userName)),
  );
  return enumerate(input, SESSION_LEVELS, sessions, (session) => textBytes(session.client, session.userName));
};

/** NetrConnectionEnum ([MS-SRVS] 3.1.4.1). */
const connectionEnum: Operation = (input) => {
  input.unique(() => input.string());
  input.unique(() => input.string());
  return enumerate(input, CONNECTION_LEVELS, [], () => 0);
};

const sameName = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase();

/** Encodes the union tag, a pointer to one information structure, and the result. */
function information<T>(
  level: number,
  entry: T | undefined,
  write: Level<T> | undefined,
  missing: number,
): Buffer {
  const output = new NdrWriter();
  output.u32(level);
  if (write === undefined) return output.u32(0).u32(WinError.INVALID_LEVEL).done();
  output.pointer(entry, (value) => write(output, value)).flush();
  return output.u32(entry === undefined ? missing : WinError.SUCCESS).done();
}

/** NetrShareGetInfo ([MS-SRVS] 3.1.4.10). */
const shareGetInfo: Operation = (input, server) => {
  input.unique(() => input.string());
  const name = input.string();
  const level = input.u32();
  const share = server.shares().find((candidate) => sameName(candidate.name, name));
  return information(level, share, SHARE_GET_LEVELS.get(level), WinError.NET_NAME_NOT_FOUND);
};

const server100: Level<PipeServer> = (output, server) =>
  void output.u32(PLATFORM_ID).stringPointer(server.serverName);
const server101: Level<PipeServer> = (output, server) => {
  server100(output, server);
  output.u32(VERSION_MAJOR).u32(VERSION_MINOR).u32(SERVER_TYPE).stringPointer(server.comment);
};
const server102: Level<PipeServer> = (output, server) => {
  server101(output, server);
  // users, disc (SV_NODISC), hidden, announce, anndelta, licenses, userpath
  output.u32(UNLIMITED).u32(UNLIMITED).u32(0).u32(240).u32(3000).u32(0).stringPointer('C:\\');
};
/** SERVER_INFO_100, 101, 102 ([MS-SRVS] 2.2.4.40 to 2.2.4.42). */
const SERVER_LEVELS: ReadonlyMap<number, Level<PipeServer>> = new Map([
  [100, server100],
  [101, server101],
  [102, server102],
]);

/** NetrServerGetInfo ([MS-SRVS] 3.1.4.17). */
const serverGetInfo: Operation = (input, server) => {
  input.unique(() => input.string());
  const level = input.u32();
  return information(level, server, SERVER_LEVELS.get(level), WinError.INVALID_LEVEL);
};

/** NetrRemoteTOD ([MS-SRVS] 3.1.4.21): TIME_OF_DAY_INFO (2.2.4.105) in UTC. */
const remoteTimeOfDay: Operation = (input, server) => {
  input.unique(() => input.string());
  const now = server.now?.() ?? new Date();
  const output = new NdrWriter();
  output
    .pointer(now, () => {
      output.u32(Math.floor(now.getTime() / 1000)).u32(now.getTime() % 2 ** 32);
      output.u32(now.getUTCHours()).u32(now.getUTCMinutes()).u32(now.getUTCSeconds());
      output
        .u32(Math.floor(now.getUTCMilliseconds() / 10))
        .u32(0)
        .u32(TOD_INTERVAL);
      output
        .u32(now.getUTCDate())
        .u32(now.getUTCMonth() + 1)
        .u32(now.getUTCFullYear())
        .u32(now.getUTCDay());
    })
    .flush();
  return output.u32(WinError.SUCCESS).done();
};

export const srvsvc: RpcInterface = {
  syntax: { uuid: wireUuid('4b324fc8-1670-01d3-1278-5a47bf6ee188'), major: 3, minor: 0 },
  operations: new Map([
    [8, connectionEnum],
    [12, sessionEnum],
    [15, shareEnum],
    // NetrShareEnumSticky, [MS-SRVS] 3.1.4.9: all shares here are sticky.
    [36, shareEnum],
    [16, shareGetInfo],
    [21, serverGetInfo],
    [28, remoteTimeOfDay],
  ]),
};
