import type { Peer } from './rpc/context.ts';

/** One call that has been answered. */
export interface CallFinished {
  readonly peer: Peer;
  /** `NFS`, `MOUNT`, `PORTMAP`, or the number of a program that is not served. */
  readonly program: string;
  /** `READ`, `MNT`, …, or `-` for a call that reached no procedure. */
  readonly procedure: string;
  /** `OK`, the protocol's status without its prefix (`NOENT`), or the RPC status (`PROG_UNAVAIL`, `AUTH_ERROR`). */
  readonly status: string;
  /** From the last byte of the call to the finished reply. */
  readonly seconds: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** Why a connection ended. `ended`: the peer closed it after everything was answered. */
export type CloseReason =
  'ended' | 'reset' | 'malformed' | 'record timeout' | 'peer does not read' | 'server closed';

/** What a server tells its owner. A hook must not throw. */
export interface RpcHooks {
  callFinished?(event: CallFinished): void;
  connectionOpened?(peer: Peer): void;
  connectionClosed?(peer: Peer, reason: CloseReason): void;
  /** A connection over one of the two limits on connections; it has been closed. */
  connectionRefused?(peer: Peer, reason: 'total' | 'address'): void;
  /** Something that is no RPC call (the connection ends) or a call whose arguments cannot be decoded (GARBAGE_ARGS). */
  malformed?(peer: Peer, reason: string): void;
  /** A call that arrived again while the first was being worked on: dropped, or answered early. */
  retransmission?(peer: Peer, program: string, procedure: string, answered: boolean): void;
  /** Something unexpected was thrown; the peer got SERVERFAULT or SYSTEM_ERR. */
  bug?(error: unknown, where: string): void;
}
