/**
 * The end of a connection that its client does not notice. What is still on its way to a server that hangs up is lost, and
 * not every client asks again: Linux fails the rest of a directory scan, and since 6.10 reads as well. A client that waits
 * for its answers sends nothing. So the last answers are held back until it is silent, and go out together with the FIN.
 * Scans are first let come to their end, and no new ones begun: Linux does ask again for the beginning of one.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Limits } from '../limits.ts';
import type { Connection } from './connection.ts';

const STEP_MS = 5;

/** Ends the connection, at the latest at `deadline` (performance.now()). A client that waits for nothing waits for no other. */
export async function drain(connection: Connection, deadline: number): Promise<void> {
  const { limits, scans, hooks } = connection.server;
  connection.ending = true;
  await untilSilent(connection, Math.min(deadline, performance.now() + limits.drainServeMs));
  connection.stopReading();
  while (!connection.closed && connection.busy && performance.now() < deadline) await sleep(STEP_MS);
  connection.suspendScans();
  const left = Math.max(1, deadline - performance.now());
  const given = scans.flush().catch((error: unknown) => hooks.bug?.(error, 'keeping directory scans'));
  const ending = given.then(() => connection.finish());
  const enough = new AbortController();
  await Promise.race([ending, sleep(left, undefined, { signal: enough.signal }).catch(() => undefined)]);
  enough.abort();
  connection.close('server stops');
}

/** Serves on until the client has nothing on its way, its answers then held back, or until `until`. */
async function untilSilent(connection: Connection, until: number): Promise<void> {
  const { limits } = connection.server;
  while (!connection.closed && performance.now() < until) {
    if (takesTime(connection, limits)) {
      await sleep(STEP_MS);
      continue;
    }
    connection.holdAnswers();
    if (await isSilent(connection, Math.min(until, performance.now() + limits.drainHoldMs), limits)) return;
    connection.releaseAnswers();
    await sleep(STEP_MS);
  }
}

/** Whether its client waits for something slow, or is in the middle of a directory: neither is to be held back. */
function takesTime(connection: Connection, { drainHoldMs, drainScanMs }: Limits): boolean {
  const now = performance.now();
  for (const request of connection.running.values())
    if (!request.waitsForEvents && request.started < now - drainHoldMs / 2) return true;
  for (const session of connection.sessions.values())
    for (const { enumeration } of session.opens.values())
      if (enumeration?.place && enumeration.askedAt > now - drainScanMs) return true;
  return false;
}

async function isSilent(connection: Connection, until: number, limits: Limits): Promise<boolean> {
  const begun = performance.now();
  for (;;) {
    const now = performance.now();
    const quiet = now - Math.max(begun, connection.receivedAt) >= limits.drainSilenceMs;
    if (connection.closed || (quiet && !connection.busy && !connection.paused)) return true;
    if (now >= until) return false;
    await sleep(STEP_MS);
  }
}
