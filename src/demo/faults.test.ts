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

it('takes whole path components for a prefix', () => {
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

it('holds, tells how many, and lets go what no other rule holds', () => {
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
  faults.fail({ path: '/a' }, 5, 0);
  faults.fail({ path: '/b' }, 110, 50);
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
