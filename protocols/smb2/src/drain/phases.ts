/**
 * How a connection comes to its end, phase by phase. What is on its way to a server that hangs up is lost, and not every client
 * asks again: Linux fails directory scans, and from 6.10 on reads.
 */
import type { Limits } from '../limits.ts';
import type { Stopping } from './last-answers.ts';

/** A connection, as its end depends on it. */
export interface Draining {
  /** Something is being worked on that came before `before` (performance.now()). */
  busySince(before: number): boolean;
  /** Bytes that have come are left unread for now. */
  readonly paused: boolean;
  /** When bytes last came from the client (performance.now()). */
  readonly receivedAt: number;
  readonly gate: { readonly allStopped: boolean; withheldSince(since: number): boolean };
  /** A client is in the middle of a directory, and has asked for more since `since` (performance.now()). */
  isScanning(since: number): boolean;
}

export interface Phase {
  readonly name: string;
  /** Whose answers are kept for the end. */
  readonly stops: Stopping;
  /** READs get no credits. */
  readonly withholds: boolean;
  /** How long it lasts at most; undefined: as long as there is time. */
  readonly mostMs: (limits: Limits) => number | undefined;
  /** Whether the next phase may begin. */
  readonly isOver: (connection: Draining, limits: Limits) => boolean;
  readonly because: string;
}

const ago = (ms: number): number => performance.now() - ms;
const isScanning = (connection: Draining, limits: Limits): boolean =>
  connection.isScanning(ago(limits.drainPauseMs));
/** Nothing has come from the client for a while, and nothing is being answered. */
const isSilent = (connection: Draining, limits: Limits): boolean =>
  !connection.busySince(Infinity) &&
  !connection.paused &&
  performance.now() - connection.receivedAt >= limits.drainSilenceMs;

export const phases: readonly Phase[] = [
  {
    name: 'wait for what hangs',
    stops: 'nobody',
    withholds: false,
    mostMs: () => undefined,
    isOver: (connection, limits) => !connection.busySince(ago(limits.interimAfterMs)),
    because: 'A request that takes longer than usual is waited for; all others are served meanwhile.',
  },
  {
    name: 'let scans end',
    stops: 'scans',
    withholds: false,
    mostMs: (limits) => limits.drainScansMs,
    isOver: (connection, limits) => !isScanning(connection, limits),
    because:
      'cifs keeps the FileId of a scan over a reconnect; before 6.8 it fails a scan that goes on while it is not connected.',
  },
  {
    name: 'let streams run dry',
    stops: 'scans',
    withholds: true,
    mostMs: (limits) => limits.drainStreamMs,
    isOver: ({ gate }, limits) => gate.allStopped || !gate.withheldSince(ago(limits.drainSilenceMs)),
    because:
      'cifs from 6.10 on fails the READs that are in flight when the connection ends, even on hard mounts.',
  },
  {
    name: 'stop everybody',
    stops: 'all',
    withholds: true,
    mostMs: (limits) => limits.drainHoldMs,
    isOver: (connection, limits) => isSilent(connection, limits) && !isScanning(connection, limits),
    because:
      'A thread of the client that has no answer asks nothing more; the answers go out together with the FIN.',
  },
];
