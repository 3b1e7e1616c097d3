/** Events for logs and metrics. Every member is optional. None may throw or wait. */
import type { NtStatus } from './wire/status.ts';

export interface PeerEvent {
  readonly address: string;
  readonly port: number;
}

export interface SessionEvent extends PeerEvent {
  readonly sessionId: number;
  readonly userName: string;
  readonly guest: boolean;
  readonly dialect: number;
  readonly signed: boolean;
  readonly encrypted: boolean;
}

export interface TreeEvent extends SessionEvent {
  readonly share: string;
}

export interface RequestEvent {
  /** Name of the command, for instance `READ`. */
  readonly command: string;
  readonly status: NtStatus;
  readonly seconds: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly share: string | undefined;
}

export interface Hooks {
  connected?(event: PeerEvent): void;
  disconnected?(event: PeerEvent & { readonly reason: string }): void;
  /** A connection ended while its client waited for the answers to so many requests. */
  unanswered?(event: PeerEvent & { readonly requests: number }): void;
  connectionRefused?(event: PeerEvent & { readonly reason: string }): void;
  sessionOpened?(event: SessionEvent): void;
  sessionClosed?(event: SessionEvent): void;
  logonRefused?(event: PeerEvent & { readonly userName: string; readonly status: NtStatus }): void;
  treeConnected?(event: TreeEvent): void;
  treeDisconnected?(event: TreeEvent): void;
  treeRefused?(event: SessionEvent & { readonly share: string; readonly status: NtStatus }): void;
  requestFinished?(event: RequestEvent): void;
  /** The client sent malformed data. Either the connection is closed or the request fails. */
  malformed?(event: PeerEvent & { readonly reason: string }): void;
  /** An error in the server or the backend. The request was answered with INTERNAL_ERROR, or the connection is closed. */
  bug?(error: unknown, context: string): void;
}
