import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Departure, type LeavingRead } from './departure.ts';
import { defaultLeave } from './fuse-protocol.ts';

const EIO = -5;
const ENOENT = -2;
const held: LeavingRead = { bytes: 4096, onItsWay: false, openBefore: true, onDisk: true };
const fresh: LeavingRead = { ...held, openBefore: false };

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

it('answers reads in turns', () => {
  const departure = new Departure(defaultLeave);
  expect([held, fresh, held, held].map((read) => departure.answer(read))).toEqual([EIO, 2048, 0, EIO]);
  expect(() => new Departure({ ...defaultLeave, answers: [] })).toThrow();
});

it('fails all reads, then only those of old descriptors, and knows what is on the disk', () => {
  const departure = new Departure({ ...defaultLeave, manner: 'hanwen', flushMs: 200 });
  expect(departure.answer({ ...held, onItsWay: true })).toBe(0);
  expect([held, fresh].map((read) => departure.answer(read))).toEqual([EIO, EIO]);
  vi.advanceTimersByTime(200);
  expect([held, fresh, { ...fresh, onDisk: false }].map((read) => departure.answer(read))).toEqual([
    EIO,
    4096,
    0,
  ]);
});

it('fails all reads, in the end as if the files were gone', () => {
  const departure = new Departure({ ...defaultLeave, manner: 'cgo' });
  expect(departure.answer(held)).toBe(EIO);
  vi.advanceTimersByTime(200);
  expect(departure.answer(held)).toBe(ENOENT);
});
