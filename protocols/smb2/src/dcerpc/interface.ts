/** The data about the server that pipes report, and the description of an RPC interface. */
import type { NdrReader } from './ndr.ts';
import type { Syntax } from './pdu.ts';

export interface PipeShare {
  readonly name: string;
  readonly comment: string;
  readonly kind: 'disk' | 'ipc';
  /** Number of open tree connects. */
  readonly users?: number;
}

export interface PipeSession {
  /** Address or name of the client, without leading backslashes. */
  readonly client: string;
  readonly userName: string;
  readonly guest: boolean;
  readonly opens: number;
  readonly seconds: number;
  readonly idleSeconds: number;
}

export interface PipeServer {
  readonly serverName: string;
  readonly domain: string;
  readonly comment: string;
  shares(): readonly PipeShare[];
  sessions?(): readonly PipeSession[];
  /** For tests. Default: the system clock. */
  now?(): Date;
}

/** Decodes the arguments and returns the stub of the response. Throws FaultError. */
export type Operation = (input: NdrReader, server: PipeServer) => Buffer;

export interface RpcInterface {
  readonly syntax: Syntax;
  /** By operation number. */
  readonly operations: ReadonlyMap<number, Operation>;
}

/** Win32 error codes that operations return ([MS-ERREF] 2.2). */
export const WinError = {
  SUCCESS: 0,
  INVALID_LEVEL: 124,
  MORE_DATA: 234,
  BUFFER_TOO_SMALL: 2123,
  NET_NAME_NOT_FOUND: 2310,
} as const;

/** PLATFORM_ID_NT ([MS-SRVS] 2.2.2.6), and the version of Windows 7, which Samba reports as well. */
export const PLATFORM_ID = 500;
export const VERSION_MAJOR = 6;
export const VERSION_MINOR = 1;
