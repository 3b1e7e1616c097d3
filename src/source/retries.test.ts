import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { SourceLimits } from './limits.ts';
import { Retries } from './retries.ts';

const known = new Error('dead');
const never = () => new Promise<number>(() => undefined);

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it('returns the result of a retry that comes in time', async () => {
  await expect(new Retries().soon(Promise.resolve(7), known)).resolves.toBe(7);
  const worse = new Error('worse');
  await expect(new Retries().soon(Promise.reject(worse), known)).rejects.toBe(worse);
});

it('lets a few readers wait for long, and others only briefly', async () => {
  const retries = new Retries();
  const ended: number[] = [];
  const start = (id: number) => void retries.soon(never(), known).catch(() => ended.push(id));
  for (let id = 0; id < SourceLimits.patientRetries + 2; id++) start(id);
  await vi.advanceTimersByTimeAsync(SourceLimits.retryGlance);
  expect(ended).toEqual([SourceLimits.patientRetries, SourceLimits.patientRetries + 1]);
  await vi.advanceTimersByTimeAsync(SourceLimits.retryPatience - SourceLimits.retryGlance);
  expect(ended).toHaveLength(SourceLimits.patientRetries + 2);
  start(99);
  await vi.advanceTimersByTimeAsync(SourceLimits.retryGlance);
  expect(ended).not.toContain(99);
});
