import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Provider } from './provider.ts';

const MB = 1_000_000;
const SIZE = 500 * MB;
const spec = {
  bytesPerSecond: 10 * MB,
  firstByteMs: 50,
  aheadBytes: 100 * MB,
  idleMs: 30_000,
  giveUpMs: 60_000,
};
let provider: Provider;
let answers: number[];

beforeEach(() => {
  vi.useFakeTimers();
  answers = [];
  provider = new Provider(spec);
});
afterEach(() => vi.useRealTimers());

const read = (key: string, from: number, length: number) =>
  provider.read(key, from, length, (error) => answers.push(error));
const open = (key: string) => provider.open(key, key, SIZE);

it('waits for the first byte and the rate, then reads from the disk at once', () => {
  open('/a');
  read('/a', 0, MB);
  vi.advanceTimersByTime(140);
  expect(answers).toEqual([]);
  vi.advanceTimersByTime(20);
  expect(answers).toEqual([0]);
  read('/a', 0, MB);
  expect(answers).toEqual([0, 0]);
  expect(provider.counts('/').requests).toBe(1);
});

it('reads ahead while the file has at least one descriptor, and stops at the last close', () => {
  open('/a');
  open('/a');
  read('/a', 0, MB);
  vi.advanceTimersByTime(2050);
  provider.close('/a');
  vi.advanceTimersByTime(1000);
  expect(provider.counts('/a').bytes).toBe(30 * MB);
  provider.close('/a');
  vi.advanceTimersByTime(60_000);
  expect(provider.counts('/')).toEqual({ bytes: 30 * MB, requests: 1 });
  open('/a');
  read('/a', 29 * MB, MB);
  expect(answers).toEqual([0, 0]);
});

it('stops when nobody has read for a while', () => {
  provider = new Provider({ ...spec, idleMs: 5000 });
  open('/a');
  read('/a', 0, MB);
  vi.advanceTimersByTime(60_000);
  expect(provider.counts('/a').bytes).toBe(49.5 * MB);
  read('/a', 40 * MB, MB);
  vi.advanceTimersByTime(1000);
  expect(provider.counts('/a').bytes).toBeGreaterThan(58 * MB);
});

it('knows what is on the disk', () => {
  open('/a');
  read('/a', 0, MB);
  vi.advanceTimersByTime(150);
  expect([
    provider.isOnDisk('/a', 0, MB),
    provider.isOnDisk('/a', MB, 1),
    provider.isOnDisk('/b', 0, 1),
  ]).toEqual([true, false, false]);
});

it('pauses at the read-ahead distance and continues in the same request', () => {
  open('/a');
  read('/a', 0, MB);
  vi.advanceTimersByTime(60_000);
  expect(provider.counts('/a')).toEqual({ bytes: 101 * MB, requests: 1 });
  read('/a', 100 * MB, MB);
  vi.advanceTimersByTime(60_000);
  expect(provider.counts('/a')).toEqual({ bytes: 201 * MB, requests: 1 });
});

it('starts a new request for a read far from a running fetch', () => {
  open('/a');
  read('/a', 0, MB);
  read('/a', 3 * MB, MB);
  expect(provider.counts('/a').requests).toBe(1);
  read('/a', 200 * MB, MB);
  read('/a', SIZE - MB, 2 * MB);
  expect(provider.counts('/a').requests).toBe(3);
  vi.advanceTimersByTime(160);
  expect(answers).toEqual([0, 0, 0]);
});

it('starts a new request behind bytes that are on the disk, however few they are', () => {
  open('/a');
  read('/a', 50 * MB, MB);
  vi.advanceTimersByTime(150);
  provider.close('/a');
  provider.resetCounts();
  open('/a');
  read('/a', 0, MB);
  vi.advanceTimersByTime(20_000);
  expect(provider.counts('/a')).toEqual({ bytes: 100 * MB, requests: 2 });
});

it('fetches no byte twice', () => {
  open('/a');
  read('/a', 50 * MB, MB);
  vi.advanceTimersByTime(1050);
  provider.close('/a');
  open('/a');
  read('/a', 0, MB);
  vi.advanceTimersByTime(60_000);
  // MB 0 to 50, and from 60 on; the part between was on the disk.
  expect(provider.counts('/a')).toEqual({ bytes: 101 * MB, requests: 3 });
  read('/a', 50 * MB, MB);
  expect(answers.length).toBe(3);
});

it('keeps readers of a stalled provider waiting until it gives up', () => {
  open('/a');
  read('/a', 0, MB);
  vi.advanceTimersByTime(550);
  provider.stall();
  read('/a', 4 * MB, MB);
  read('/a', 20 * MB, MB);
  vi.advanceTimersByTime(50_000);
  expect(answers).toEqual([0, 0]);
  provider.resume();
  vi.advanceTimersByTime(200);
  expect(answers).toEqual([0, 0, 0]);
  provider.stall();
  read('/a', 300 * MB, MB);
  vi.advanceTimersByTime(61_000);
  expect(answers).toEqual([0, 0, 0, -5]);
  read('/a', 300 * MB, MB);
  provider.abandon(-107);
  expect(answers).toEqual([0, 0, 0, -5, -107]);
});

it('resets its counts but keeps the bytes on the disk', () => {
  open('/a');
  read('/a', 0, MB);
  vi.advanceTimersByTime(200);
  provider.close('/a');
  provider.resetCounts();
  open('/a');
  read('/a', 0, MB);
  expect([answers, provider.counts('/')]).toEqual([[0, 0], { bytes: 0, requests: 1 }]);
});
