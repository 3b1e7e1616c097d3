import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createLogger } from '../log/index.ts';
import type { ChildExit, RunningChild } from './child.ts';
import { Children, mountPatience, type ChildPlan } from './children.ts';

let events: string[];
let exits: Map<string, (exit: ChildExit) => void>;
let mounts: Map<string, number>;

beforeEach(() => {
  vi.useFakeTimers();
  events = [];
  exits = new Map();
  mounts = new Map();
});
afterEach(() => vi.useRealTimers());

const plan = (name: string, more: Partial<ChildPlan> = {}): ChildPlan => ({
  name,
  restart: 'never',
  spawn: () => {
    events.push(`start ${name}`);
    const exited = new Promise<ChildExit>((resolve) => exits.set(name, resolve));
    const child: RunningChild = {
      pid: 7,
      exited,
      signal: (signal) => void events.push(`${signal} ${name}`),
      kill: () => void events.push(`kill ${name}`),
    };
    return Promise.resolve(child);
  },
  ...more,
});

const later = (ms: number) => vi.advanceTimersByTimeAsync(ms);

async function running(...children: ChildPlan[]): Promise<Children> {
  const mountAt = (path: string) => Promise.resolve(mounts.get(path));
  const all = new Children({ children, graceMs: 8_000, mountAt, log: createLogger('silent') });
  await later(0);
  return all;
}

async function exit(name: string, code: number): Promise<void> {
  exits.get(name)!({ code, signal: null });
  await later(0);
}

describe('several children', () => {
  it('start in order, each when something new is mounted by the one before', async () => {
    // Of an earlier run.
    mounts.set('/mnt/a', 1);
    await running(plan('a', { mount: '/mnt/a' }), plan('b'), plan('c'));
    await later(5_000);
    expect(events).toEqual(['start a']);
    mounts.set('/mnt/a', 2);
    await later(100);
    expect(events).toEqual(['start a', 'start b', 'start c']);
  });

  it('do not wait for ever for a mount, nor for one of a child that has ended', async () => {
    await running(plan('a', { mount: '/mnt/a' }), plan('b', { mount: '/mnt/b' }), plan('c'));
    await later(mountPatience);
    expect(events).toEqual(['start a', 'start b']);
    await exit('b', 0);
    await later(100);
    expect(events.at(-1)).toBe('start c');
  });

  it('are started again each by itself', async () => {
    await running(plan('a', { restart: 'always' }), plan('b'));
    await exit('a', 1);
    await later(250);
    expect(events).toEqual(['start a', 'start b', 'start a']);
  });

  it('have ended when all have, with the code of the first in the list that failed', async () => {
    const all = await running(plan('a'), plan('b'), plan('c'));
    const ended = vi.fn();
    void all.ended.then(ended);
    await exit('c', 3);
    await exit('a', 0);
    expect(ended).not.toHaveBeenCalled();
    await exit('b', 2);
    expect(ended).toHaveBeenCalledWith(2);
  });

  it('end at once when one cannot be run at all', async () => {
    const missing = Object.assign(new Error('no such program'), { code: 'ENOENT' });
    const all = await running(plan('a'), plan('b', { spawn: () => Promise.reject(missing) }));
    expect(await all.ended).toBe(127);
    const stopped = all.stop('SIGTERM');
    await exit('a', 0);
    expect(await stopped).toBe(127);
  });

  it('are stopped in the opposite order, within one grace for all', async () => {
    const all = await running(plan('a'), plan('b'), plan('c'));
    const stopped = all.stop('SIGTERM');
    await exit('c', 0);
    expect(events.slice(3)).toEqual(['SIGTERM c', 'SIGTERM b']);
    await later(3_900);
    expect(events.slice(5)).toEqual([]);
    await later(100);
    expect(events.slice(5)).toEqual(['SIGTERM a']);
    await later(4_000);
    expect(events.slice(6)).toEqual(['kill b', 'kill a']);
    await exit('b', 0);
    await exit('a', 143);
    expect(await stopped).toBe(143);
  });

  it('that were not started yet stay so when asked to stop', async () => {
    const all = await running(plan('a', { mount: '/mnt/a' }), plan('b'));
    const stopped = all.stop('SIGTERM');
    await exit('a', 0);
    mounts.set('/mnt/a', 2);
    expect(await stopped).toBe(0);
    await later(mountPatience);
    expect(events).toEqual(['start a', 'SIGTERM a']);
  });
});
