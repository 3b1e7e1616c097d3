import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Faults, isBelow } from './faults.ts';
import type { FuseOperation } from './fuse-protocol.ts';

let faults: Faults;
let answers: string[];

beforeEach(() => {
  vi.useFakeTimers();
  faults = new Faults();
  answers = [];
});
afterEach(() => vi.useRealTimers());

function pass(operation: FuseOperation, path: string): void {
  faults.pass(operation, path, (error) => answers.push(`${operation} ${path} ${String(error)}`));
}

it('matches whole path components only', () => {
  expect([isBelow('/a/b', '/a'), isBelow('/a', '/a'), isBelow('/ab', '/a'), isBelow('/x', '/')]).toEqual([
    true,
    true,
    false,
    true,
  ]);
});

it('delays by the longest path that matches', () => {
  faults.setLatency('/', { read: 10 });
  faults.setLatency('/a', { read: 30 });
  pass('read', '/a/file');
  pass('read', '/b');
  pass('open', '/b');
  expect(answers).toEqual(['open /b 0']);
  vi.advanceTimersByTime(10);
  expect(answers).toHaveLength(2);
  vi.advanceTimersByTime(20);
  expect(answers).toEqual(['open /b 0', 'read /b 0', 'read /a/file 0']);
});

it('holds operations, reports how many, and releases those that no other rule holds', () => {
  let told = false;
  faults.whenHeld(2, () => (told = true));
  faults.hang({ path: '/a', operations: ['read'] });
  faults.hang({ path: '/b' });
  pass('read', '/a/1');
  pass('open', '/a/1');
  expect(told).toBe(false);
  pass('lookup', '/b');
  expect([told, faults.held]).toEqual([true, 2]);
  faults.heal('/b');
  expect(answers).toEqual(['open /a/1 0', 'lookup /b 0']);
  faults.heal('/');
  expect([answers.length, faults.held]).toEqual([3, 0]);
});

it('fails with the errno, at once or late, until healed', () => {
  faults.fail({ path: '/a', errno: 5, afterMs: 0, delaysOnce: false });
  faults.fail({ path: '/b', errno: 110, afterMs: 50, delaysOnce: false });
  pass('read', '/a');
  pass('read', '/b');
  vi.advanceTimersByTime(50);
  faults.heal('/a');
  pass('read', '/a');
  expect(answers).toEqual(['read /a -5', 'read /b -110', 'read /a 0']);
});

it('counts at and below a path', () => {
  pass('read', '/a/1');
  pass('read', '/a/2');
  faults.countBytes('/a/2', 100);
  pass('lookup', '/b');
  expect(faults.counts('/a')).toEqual({ lookup: 0, list: 0, open: 0, read: 2, change: 0, readBytes: 100 });
  expect(faults.counts('/').lookup).toBe(1);
  faults.resetCounts();
  expect(faults.counts('/').read).toBe(0);
});

it('delays only the first failure of each dead file', () => {
  faults.fail({ path: '/a', operations: ['read'], errno: 5, afterMs: 7000, delaysOnce: true });
  pass('read', '/a/1');
  pass('read', '/a/2');
  vi.advanceTimersByTime(6999);
  expect(answers).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(answers).toEqual(['read /a/1 -5', 'read /a/2 -5']);
  pass('read', '/a/1');
  expect(answers).toHaveLength(3);
});

it('loses names below a path and cuts listings, until healed', () => {
  faults.lose('/a');
  faults.cut('/b', 3);
  expect(['/a', '/a/1', '/b'].map((path) => faults.isLost(path))).toEqual([false, true, false]);
  expect([faults.listingLimit('/b/c'), faults.listingLimit('/a')]).toEqual([3, Infinity]);
  faults.heal('/');
  expect([faults.isLost('/a/1'), faults.listingLimit('/b')]).toEqual([false, Infinity]);
});

it('abandons what it holds', () => {
  faults.hang({ path: '/' });
  pass('read', '/a');
  faults.abandon(-5);
  expect([answers, faults.held]).toEqual([['read /a -5'], 0]);
});
