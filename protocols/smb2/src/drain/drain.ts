/** Ends a connection so that its client does not notice: goes through the phases, then sends the kept answers with the FIN. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Hooks } from '../hooks.ts';
import type { Limits } from '../limits.ts';
import type { Gate } from './gate.ts';
import { phases } from './phases.ts';
import type { Draining } from './phases.ts';

const STEP_MS = 5;

export interface DrainedConnection extends Draining {
  readonly gate: Gate;
  readonly closed: boolean;
  /** Saves the positions of unfinished directory scans. */
  suspendScans(): void;
  /** Stops reading from the socket. Requests that were read are finished. */
  stopReading(): void;
  /** Sends the kept answers, then FIN, and waits for the FIN of the peer. */
  finish(): Promise<void>;
  close(reason: string): void;
}

export interface DrainTerms {
  /** End of the drain, as performance.now(). */
  readonly deadline: number;
  readonly limits: Limits;
  readonly hooks: Hooks;
  /** Saves suspended scans for the next process. */
  readonly keepScans: () => Promise<void>;
}

/** Drains one connection. Connections drain independently of each other. */
export async function drain(connection: DrainedConnection, terms: DrainTerms): Promise<void> {
  const { deadline, limits } = terms;
  const last = deadline - limits.drainStreamMs - limits.drainHoldMs;
  do await runPhases(connection, terms, last);
  while (connection.busySince(Infinity) && performance.now() < last);
  connection.stopReading();
  await until(connection, deadline, () => !connection.busySince(Infinity));
  const late = sleep(Math.max(1, deadline - performance.now()), undefined, { ref: false });
  await Promise.race([end(connection, terms), late]);
  connection.close('server stops');
}

async function runPhases(connection: DrainedConnection, terms: DrainTerms, last: number): Promise<void> {
  const { deadline, limits } = terms;
  const { gate } = connection;
  let withholds = false;
  for (const phase of phases) {
    if (phase.stops === 'none') gate.open();
    else if (!gate.allStopped) gate.stop(phase.stops);
    if (phase.withholds && !withholds) gate.withholdFromReads();
    withholds = phase.withholds;
    const most = phase.mostMs(limits);
    const time = most === undefined ? last : Math.min(deadline, performance.now() + most);
    await until(connection, time, () => phase.isOver(connection, limits));
  }
}

async function end(connection: DrainedConnection, { hooks, keepScans }: DrainTerms): Promise<void> {
  connection.suspendScans();
  try {
    await keepScans();
  } catch (error) {
    hooks.bug?.(error, 'keeping directory scans');
  }
  await connection.finish();
}

async function until(connection: DrainedConnection, time: number, reached: () => boolean): Promise<void> {
  while (!connection.closed && performance.now() < time && !reached()) await sleep(STEP_MS);
}
