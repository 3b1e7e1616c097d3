import type { Peer } from './rpc/context.ts';

/** One finished call. */
export interface CallFinished {
  readonly peer: Peer;
  /** `NFS`, `MOUNT`, `PORTMAP`, or the number of a program that this server does not have. */
  readonly program: string;
  /** `READ`, `MNT`, …, or `-` for a call that was rejected before it reached a procedure. */
  readonly procedure: string;
  /** `OK`, the protocol's status without its prefix (`NOENT`), or the RPC status (`PROG_UNAVAIL`, `AUTH_ERROR`). */
  readonly status: string;
  /** Time from the last byte of the call to the finished reply. */
  readonly seconds: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** Why a connection ended. `ended`: the peer closed it and has all its replies. */
export type CloseReason =
  'ended' | 'reset' | 'malformed' | 'record timeout' | 'peer does not read' | 'no call' | 'server closed';

/** Events that a server reports to its owner. A hook must not throw. */
export interface RpcHooks {
  callFinished?(event: CallFinished): void;
  connectionOpened?(peer: Peer): void;
  connectionClosed?(peer: Peer, reason: CloseReason): void;
  /** A connection ended while its peer waited for the replies of so many calls. */
  unanswered?(peer: Peer, calls: number): void;
  /** A connection was closed because it exceeds one of the two limits on connections. */
  connectionRefused?(peer: Peer, reason: 'total' | 'address'): void;
  /** A message is no RPC call (the connection is closed), or its arguments cannot be decoded (GARBAGE_ARGS). */
  malformed?(peer: Peer, reason: string): void;
  /** A call arrived again while it was running. `answered`: it was answered early; otherwise it was dropped. */
  retransmission?(peer: Peer, program: string, procedure: string, answered: boolean): void;
  /** An unexpected error was thrown. The client got SERVERFAULT or SYSTEM_ERR. */
  bug?(error: unknown, where: string): void;
}
