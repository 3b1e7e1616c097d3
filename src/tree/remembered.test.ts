import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Remembered } from './remembered.ts';

beforeEach(() => vi.useFakeTimers({ toFake: ['performance'] }));
afterEach(() => vi.useRealTimers());

it('makes one call for parallel requests, and reuses its result for a while', async () => {
  const remembered = new Remembered<string>();
  let answer: (value: string) => void = () => undefined;
  let asked = 0;
  const ask = () => {
    asked += 1;
    return new Promise<string>((resolve) => (answer = resolve));
  };
  const [first, second] = [remembered.get(ask), remembered.get(ask)];
  vi.advanceTimersByTime(3_000);
  answer('late');
  expect(await Promise.all([first, second])).toEqual(['late', 'late']);
  vi.advanceTimersByTime(5_000);
  expect(remembered.get(ask)).toBe('late');
  vi.advanceTimersByTime(60_000);
  void remembered.get(ask);
  expect(asked).toBe(2);
});

it('does not cache failures, and can drop its answer', async () => {
  const remembered = new Remembered<number>();
  await expect(remembered.get(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(await remembered.get(() => Promise.resolve(1))).toBe(1);
  remembered.forget();
  expect(await remembered.get(() => Promise.resolve(2))).toBe(2);
});
