import { setTimeout as delay } from 'node:timers/promises';

/** Waits for the duration of a fault, which is part of the fault. */
export async function last(ms: number): Promise<void> {
  await delay(ms);
}

/** The promise's value; fails if it takes longer than `ms`. */
export async function within<T>(promise: Promise<T>, ms: number, what: string): Promise<T> {
  const enough = new AbortController();
  const late = delay(ms, undefined, { signal: enough.signal }).then(() => {
    throw new Error(`${what}: not within ${ms} ms`);
  });
  late.catch(() => undefined);
  try {
    return await Promise.race([promise, late]);
  } finally {
    enough.abort();
  }
}
