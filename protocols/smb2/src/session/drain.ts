/**
 * The end of a connection that its client does not notice. What is on its way to a server that hangs up is lost, and not
 * every client asks again: Linux fails directory scans, and from 6.10 on reads. So a connection is served on until nothing
 * is on its way: scans come to their end, most clients pause now and then, and streams run out of credits. At last answers are
 * held back (last-answers.ts) until the client can only wait for them, and go out together with the FIN.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection } from './connection.ts';

const STEP_MS = 5;

/** Ends the connection, at the latest at `deadline` (performance.now()). A client that waits for nothing waits for no other. */
export async function drain(connection: Connection, deadline: number): Promise<void> {
  const { limits } = connection.server;
  const within = (ms: number): number => Math.min(deadline, performance.now() + ms);
  const last = deadline - limits.drainStreamMs - limits.drainHoldMs;
  do {
    // What hangs is waited for, but nobody with it.
    connection.goOn();
    await until(connection, last, () => !isHanging(connection));
    connection.stopScanners();
    await until(connection, within(limits.drainScansMs), () => !isScanning(connection));
    connection.withholdFromReads();
    const isOver = (): boolean => connection.allStopped || !isStreaming(connection);
    await until(connection, within(limits.drainStreamMs), isOver);
    connection.stopAll();
    await until(connection, within(limits.drainHoldMs), () => isDone(connection));
  } while (connection.busy && performance.now() < last);
  connection.stopReading();
  await until(connection, deadline, () => !connection.busy);
  const late = sleep(Math.max(1, deadline - performance.now()), undefined, { ref: false });
  await Promise.race([end(connection), late]);
  connection.close('server stops');
}

async function end(connection: Connection): Promise<void> {
  const { scans, hooks } = connection.server;
  connection.suspendScans();
  try {
    await scans.flush();
  } catch (error) {
    hooks.bug?.(error, 'keeping directory scans');
  }
  await connection.finish();
}

async function until(connection: Connection, time: number, reached: () => boolean): Promise<void> {
  while (!connection.closed && performance.now() < time && !reached()) await sleep(STEP_MS);
}

/** Whether something is being worked on for longer than is usual. */
const isHanging = (connection: Connection): boolean =>
  connection.busySince(performance.now() - connection.server.limits.interimAfterMs);

const isDone = (connection: Connection): boolean => isSilent(connection) && !isScanning(connection);

/** Whether nothing has come from the client for a while, and nothing is being answered. */
function isSilent(connection: Connection): boolean {
  const { busy, paused, receivedAt, server } = connection;
  return !busy && !paused && performance.now() - receivedAt >= server.limits.drainSilenceMs;
}

/** Whether READs are being answered that get no credits any more. */
const isStreaming = (connection: Connection): boolean =>
  connection.withheldSince(performance.now() - connection.server.limits.drainSilenceMs);

/** Whether the client is in the middle of a directory, and has not just paused there. */
function isScanning({ sessions, server }: Connection): boolean {
  const since = performance.now() - server.limits.drainPauseMs;
  for (const session of sessions.values())
    for (const { enumeration } of session.opens.values())
      if (enumeration?.place && enumeration.askedAt > since) return true;
  return false;
}
