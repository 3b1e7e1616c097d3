import { setTimeout as delay } from 'node:timers/promises';

/** Polls `isTrue` every `everyMs`, for conditions without an event. */
export async function until(
  what: string,
  timeoutMs: number,
  everyMs: number,
  isTrue: () => boolean | Promise<boolean>,
): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!(await isTrue())) {
    if (performance.now() > end) throw new Error(`not within ${String(timeoutMs)} ms: ${what}`);
    await delay(everyMs);
  }
}
