/**
 * The phases in which a connection drains. Requests that are on the way when a server closes are lost, and not every
 * client repeats them: Linux fails directory scans, and from 6.10 on READs.
 */
import type { Limits } from '../limits.ts';
import type { Stopping } from './last-answers.ts';

/** A connection, as the phases see it. */
export interface Draining {
  /** Whether a request from before `before` (performance.now()) is still running. */
  busySince(before: number): boolean;
  /** Whether the server has paused reading from the socket. */
  readonly paused: boolean;
  /** When the last bytes from the client arrived (performance.now()). */
  readonly receivedAt: number;
  readonly gate: { readonly allStopped: boolean; withheldSince(since: number): boolean };
  /** Whether a scan is unfinished and its client has asked for more since `since` (performance.now()). */
  isScanning(since: number): boolean;
}

export interface Phase {
  readonly name: string;
  /** Which answers are kept for the end. */
  readonly stops: Stopping;
  /** Whether READs get no credits. */
  readonly withholds: boolean;
  /** Longest duration, in ms. Undefined: until the deadline. */
  readonly mostMs: (limits: Limits) => number | undefined;
  /** Whether the next phase may begin. */
  readonly isOver: (connection: Draining, limits: Limits) => boolean;
  readonly because: string;
}

const ago = (ms: number): number => performance.now() - ms;
const isScanning = (connection: Draining, limits: Limits): boolean =>
  connection.isScanning(ago(limits.drainPauseMs));
/** Nothing has arrived from the client for `drainSilenceMs`, and no request is running. */
const isSilent = (connection: Draining, limits: Limits): boolean =>
  !connection.busySince(Infinity) &&
  !connection.paused &&
  performance.now() - connection.receivedAt >= limits.drainSilenceMs;

export const phases: readonly Phase[] = [
  {
    name: 'wait for slow requests',
    stops: 'none',
    withholds: false,
    mostMs: () => undefined,
    isOver: (connection, limits) => !connection.busySince(ago(limits.interimAfterMs)),
    because: 'Slow requests get time to finish. All other requests are served meanwhile.',
  },
  {
    name: 'let scans end',
    stops: 'scans',
    withholds: false,
    mostMs: (limits) => limits.drainScansMs,
    isOver: (connection, limits) => !isScanning(connection, limits),
    because:
      'cifs keeps the FileId of a scan over a reconnect. Before 6.8 it fails a scan that continues while disconnected.',
  },
  {
    name: 'let streams use up their credits',
    stops: 'scans',
    withholds: true,
    mostMs: (limits) => limits.drainStreamMs,
    isOver: ({ gate }, limits) => gate.allStopped || !gate.withheldSince(ago(limits.drainSilenceMs)),
    because:
      'From 6.10 on, cifs fails the READs that are in flight when the connection ends, even on hard mounts.',
  },
  {
    name: 'keep all answers',
    stops: 'all',
    withholds: true,
    mostMs: (limits) => limits.drainHoldMs,
    isOver: (connection, limits) => isSilent(connection, limits) && !isScanning(connection, limits),
    because:
      'A thread of the client that waits for an answer sends nothing more. The answers go out with the FIN.',
  },
];
