/** Ends a connection without its client noticing: goes through the phases, then sends what was kept together with the FIN. */
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
  /** Keeps where unfinished directory scans stand. */
  suspendScans(): void;
  /** Stops reading for good; what was read is finished. */
  stopReading(): void;
  /** Sends what was kept, then FIN, and waits for the peer's. */
  finish(): Promise<void>;
  close(reason: string): void;
}

export interface DrainTerms {
  /** performance.now() at the latest. */
  readonly deadline: number;
  readonly limits: Limits;
  readonly hooks: Hooks;
  /** Hands suspended scans to whoever serves next. */
  readonly keepScans: () => Promise<void>;
}

/** Connections drain independently of each other. */
export async function drain(connection: DrainedConnection, terms: DrainTerms): Promise<void> {
  const { deadline, limits } = terms;
  const last = deadline - limits.drainStreamMs - limits.drainHoldMs;
  do await goThrough(connection, terms, last);
  while (connection.busySince(Infinity) && performance.now() < last);
  connection.stopReading();
  await until(connection, deadline, () => !connection.busySince(Infinity));
  const late = sleep(Math.max(1, deadline - performance.now()), undefined, { ref: false });
  await Promise.race([end(connection, terms), late]);
  connection.close('server stops');
}

async function goThrough(connection: DrainedConnection, terms: DrainTerms, last: number): Promise<void> {
  const { deadline, limits } = terms;
  const { gate } = connection;
  let withholds = false;
  for (const phase of phases) {
    if (phase.stops === 'nobody') gate.open();
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
