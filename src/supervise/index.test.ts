import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createLogger } from '../log/index.ts';
import type { ChildExit, RunningChild } from './child.ts';
import { supervise, type SuperviseOptions } from './index.ts';

let events: string[];
let source: EventEmitter;
let exit: (exit: ChildExit) => void;
let finishDrain: () => void;

beforeEach(() => {
  vi.useFakeTimers();
  events = [];
  source = new EventEmitter();
});
afterEach(() => vi.useRealTimers());

function spawn(): Promise<RunningChild> {
  events.push('spawn');
  const exited = new Promise<ChildExit>((resolve) => (exit = resolve));
  const signal = (name: string) => void events.push(name);
  return Promise.resolve({ pid: 7, exited, signal, kill: () => void events.push('kill') });
}

const gateway = {
  close: () => {
    events.push('drain');
    return new Promise<void>((resolve) => {
      finishDrain = () => {
        events.push('drained');
        resolve();
      };
    });
  },
};

/** Returns the promise in an object, so that `await running()` does not wait for the end. */
async function running(options: Partial<SuperviseOptions> = {}): Promise<{ ended: Promise<number> }> {
  const ended = supervise({
    children: [{ spawn, restart: 'never' }],
    startGateway: () => {
      events.push('gateway');
      return Promise.resolve(gateway);
    },
    drainMs: 20_000,
    graceMs: 8000,
    forwardHangup: false,
    log: createLogger('silent'),
    source,
    ...options,
  });
  ended.catch(() => undefined);
  await settle();
  return { ended };
}

const settle = () => vi.advanceTimersByTimeAsync(0);
async function signal(name: NodeJS.Signals) {
  source.emit(name);
  await settle();
}

describe('supervise', () => {
  it('starts the child first, and signals it when the gateway is done', async () => {
    const { ended } = await running();
    await signal('SIGTERM');
    await vi.advanceTimersByTimeAsync(10_000);
    expect(events).toEqual(['spawn', 'gateway', 'drain']);
    finishDrain();
    await settle();
    exit({ code: 4, signal: null });
    expect(await ended).toBe(4);
    expect(events.slice(2)).toEqual(['drain', 'drained', 'SIGTERM']);
    expect(source.eventNames()).toEqual([]);
  });

  it('does not wait for the gateway for ever', async () => {
    const { ended } = await running();
    await signal('SIGTERM');
    await vi.advanceTimersByTimeAsync(20_000);
    expect(events.at(-1)).toBe('SIGTERM');
    await vi.advanceTimersByTimeAsync(8000);
    expect(events.at(-1)).toBe('kill');
    await vi.advanceTimersByTimeAsync(5000);
    expect(await ended).toBe(137);
  });

  it('becomes less patient with each signal', async () => {
    const { ended } = await running();
    await signal('SIGINT');
    expect(events.at(-1)).toBe('drain');
    await signal('SIGTERM');
    expect(events.at(-1)).toBe('SIGINT');
    await signal('SIGTERM');
    expect(events.at(-1)).toBe('kill');
    exit({ code: null, signal: 'SIGKILL' });
    expect(await ended).toBe(137);
  });

  it('closes the gateway when the child has ended for good', async () => {
    const { ended } = await running();
    exit({ code: null, signal: 'SIGSEGV' });
    await settle();
    expect(events.at(-1)).toBe('drain');
    finishDrain();
    expect(await ended).toBe(139);
  });

  it('ends at the first signal when the child is gone and the gateway still waits', async () => {
    const { ended } = await running();
    exit({ code: 0, signal: null });
    await settle();
    await signal('SIGTERM');
    expect(await ended).toBe(0);
  });

  it('serves on while the child is started again', async () => {
    const { ended } = await running({ children: [{ spawn, restart: 'always' }] });
    exit({ code: 1, signal: null });
    await vi.advanceTimersByTimeAsync(250);
    expect(events).toEqual(['spawn', 'gateway', 'spawn']);
    await signal('SIGTERM');
    finishDrain();
    await settle();
    exit({ code: 0, signal: null });
    expect(await ended).toBe(0);
  });

  it('ends the child when the gateway cannot start', async () => {
    const startGateway = () => Promise.reject(new Error('port taken'));
    const { ended } = await running({ startGateway });
    expect(events.at(-1)).toBe('SIGTERM');
    exit({ code: 0, signal: null });
    await expect(ended).rejects.toThrow('port taken');
  });

  it('starts no gateway for a command that cannot be run', async () => {
    const missing = () => Promise.reject(Object.assign(new Error('spawn ENOENT'), { code: 'ENOENT' }));
    const { ended } = await running({ children: [{ spawn: missing, restart: 'always' }] });
    expect(await ended).toBe(127);
    expect(events).toEqual([]);
  });

  it('closes a gateway that is still starting', async () => {
    let started!: (one: typeof gateway) => void;
    const startGateway = () => new Promise<typeof gateway>((resolve) => (started = resolve));
    const { ended } = await running({ startGateway });
    await signal('SIGTERM');
    expect(events).toEqual(['spawn']);
    started(gateway);
    await settle();
    finishDrain();
    await settle();
    exit({ code: 0, signal: null });
    expect(await ended).toBe(0);
    expect(events).toEqual(['spawn', 'drain', 'drained', 'SIGTERM']);
  });
});
