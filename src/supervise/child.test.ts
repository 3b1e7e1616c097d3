import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createLogger } from '../log/index.ts';
import { ChildSupervisor, exitCode, type ChildExit, type ChildOptions, type RunningChild } from './child.ts';

class FakeChild implements RunningChild {
  readonly pid: number;
  readonly exited: Promise<ChildExit>;
  readonly signals: string[] = [];
  exit: (exit: ChildExit) => void = () => undefined;

  constructor(pid: number) {
    this.pid = pid;
    this.exited = new Promise((resolve) => (this.exit = resolve));
  }

  signal(name: NodeJS.Signals): void {
    this.signals.push(name);
  }

  kill(): void {
    this.signals.push('kill');
  }
}

class FakeSpawner {
  readonly children: FakeChild[] = [];
  /** Errors of the next attempts. */
  readonly failures: string[] = [];

  readonly spawn = (): Promise<RunningChild> => {
    const code = this.failures.shift();
    if (code !== undefined) return Promise.reject(Object.assign(new Error(`spawn x ${code}`), { code }));
    const child = new FakeChild(100 + this.children.length);
    this.children.push(child);
    return Promise.resolve(child);
  };

  get last(): FakeChild {
    return this.children.at(-1)!;
  }
}

const settle = () => vi.advanceTimersByTimeAsync(0);
const failed: ChildExit = { code: 3, signal: null };

let spawner: FakeSpawner;
beforeEach(() => {
  vi.useFakeTimers();
  spawner = new FakeSpawner();
});
afterEach(() => vi.useRealTimers());

async function start(options: Partial<ChildOptions> = {}): Promise<ChildSupervisor> {
  const log = createLogger('silent');
  const child = new ChildSupervisor({
    spawn: spawner.spawn,
    restart: 'always',
    graceMs: 1000,
    log,
    ...options,
  });
  await settle();
  return child;
}

async function end(exit: ChildExit): Promise<void> {
  spawner.last.exit(exit);
  await settle();
}

describe('restarts', () => {
  it('come after growing delays, and soon again after a good run', async () => {
    const child = await start();
    expect(child.state).toBe('running');
    for (const delay of [250, 500, 1000]) {
      const before = spawner.children.length;
      await end(failed);
      expect(child.state).toBe('backing off');
      await vi.advanceTimersByTimeAsync(delay - 1);
      expect(spawner.children).toHaveLength(before);
      await vi.advanceTimersByTimeAsync(1);
      expect(spawner.children).toHaveLength(before + 1);
    }
    await vi.advanceTimersByTimeAsync(60_000);
    await end(failed);
    await vi.advanceTimersByTimeAsync(250);
    expect(spawner.children).toHaveLength(5);
  });

  it.each([
    ['always', { code: 0, signal: null }, true],
    ['always', { code: null, signal: 'SIGKILL' }, true],
    ['on-failure', { code: 0, signal: null }, false],
    ['on-failure', { code: 1, signal: null }, true],
    ['on-failure', { code: null, signal: 'SIGSEGV' }, true],
    ['never', { code: 1, signal: null }, false],
    ['never', { code: null, signal: 'SIGSEGV' }, false],
  ] as const)('%s, after %j: %j', async (restart, exit, restarted) => {
    const child = await start({ restart });
    await end(exit);
    expect(child.state).toBe(restarted ? 'backing off' : 'ended');
    if (!restarted) expect(await child.ended).toBe(exitCode(exit));
  });
});

describe('a command that cannot be started', () => {
  it.each([
    ['ENOENT', 127],
    ['EACCES', 126],
  ])('ends it all at the first attempt: %s is %i', async (code, expected) => {
    spawner.failures.push(code);
    expect(await (await start()).ended).toBe(expected);
  });

  it('is tried again when it could be started before', async () => {
    await start();
    await end(failed);
    spawner.failures.push('ENOENT', 'ENOENT');
    await vi.advanceTimersByTimeAsync(250 + 500 + 1000);
    expect(spawner.children).toHaveLength(2);
  });

  it('is tried again when the system could not just now', async () => {
    spawner.failures.push('EAGAIN');
    await start();
    await vi.advanceTimersByTimeAsync(250);
    expect(spawner.children).toHaveLength(1);
  });

  it('ends it all with the policy never', async () => {
    spawner.failures.push('EAGAIN');
    expect(await (await start({ restart: 'never' })).ended).toBe(126);
  });
});

describe('stop', () => {
  it('passes the signal on and gives the exit code', async () => {
    const child = await start();
    const stopped = child.stop('SIGINT');
    expect(child.state).toBe('stopping');
    expect(spawner.last.signals).toEqual(['SIGINT']);
    await end({ code: 5, signal: null });
    expect(await stopped).toBe(5);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('gives 128 + n for a signal', async () => {
    const child = await start();
    const stopped = child.stop('SIGTERM');
    await end({ code: null, signal: 'SIGTERM' });
    expect(await stopped).toBe(143);
  });

  it('kills after the grace', async () => {
    const child = await start();
    const stopped = child.stop('SIGTERM');
    await vi.advanceTimersByTimeAsync(999);
    expect(spawner.last.signals).toEqual(['SIGTERM']);
    await vi.advanceTimersByTimeAsync(1);
    expect(spawner.last.signals).toEqual(['SIGTERM', 'kill']);
    await end({ code: null, signal: 'SIGKILL' });
    expect(await stopped).toBe(137);
  });

  it('tells the grace in whole milliseconds', async () => {
    const log = createLogger('silent');
    const warn = vi.spyOn(log, 'warn');
    const child = await start({ log });
    const stopped = child.stop('SIGTERM', 499.126);
    await vi.advanceTimersByTimeAsync(500);
    expect(warn).toHaveBeenCalledWith(expect.objectContaining({ graceMs: 499 }), expect.anything());
    await end({ code: null, signal: 'SIGKILL' });
    await stopped;
  });

  it('gives up a child that even SIGKILL does not end', async () => {
    const child = await start();
    const stopped = child.stop('SIGTERM');
    await vi.advanceTimersByTimeAsync(1000 + 5000);
    expect(await stopped).toBe(137);
    await end({ code: null, signal: 'SIGKILL' });
    expect(child.state).toBe('ended');
  });

  it('does not wait for the next start', async () => {
    const child = await start();
    await end(failed);
    expect(await child.stop('SIGTERM')).toBe(0);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(spawner.children).toHaveLength(1);
  });

  it('reaches a child that is just being started', async () => {
    let started: (child: RunningChild) => void = () => undefined;
    const child = await start({ spawn: () => new Promise((resolve) => (started = resolve)) });
    const stopped = child.stop('SIGTERM');
    const fake = new FakeChild(7);
    started(fake);
    await settle();
    expect(fake.signals).toEqual(['SIGTERM']);
    fake.exit({ code: 0, signal: null });
    expect(await stopped).toBe(0);
  });
});

describe('signals', () => {
  it('go to the child that runs', async () => {
    const child = await start();
    expect(child.signal('SIGUSR1')).toBe(true);
    expect(spawner.last.signals).toEqual(['SIGUSR1']);
    await end(failed);
    expect(child.signal('SIGUSR1')).toBe(false);
  });

  it('runs a command before it starts the child again after a crash, and only then', async () => {
    const cleaner = new FakeSpawner();
    await start({ afterCrash: cleaner.spawn });
    spawner.last.exit({ code: null, signal: 'SIGKILL' });
    await vi.advanceTimersByTimeAsync(1_000);
    expect([cleaner.children.length, spawner.children.length]).toEqual([1, 1]);
    cleaner.last.exit({ code: 0, signal: null });
    await settle();
    expect(spawner.children).toHaveLength(2);
    spawner.last.exit({ code: 0, signal: null });
    await vi.advanceTimersByTimeAsync(60_000);
    expect([cleaner.children.length, spawner.children.length]).toEqual([1, 3]);
  });

  it('starts the child again when that command fails, hangs or cannot be started', async () => {
    const cleaner = new FakeSpawner();
    await start({ afterCrash: cleaner.spawn, graceMs: 500 });
    cleaner.failures.push('ENOENT');
    spawner.last.exit(failed);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(spawner.children).toHaveLength(2);
    spawner.last.exit(failed);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(cleaner.last.signals).toEqual(['kill']);
    cleaner.last.exit({ code: null, signal: 'SIGKILL' });
    await settle();
    expect(spawner.children).toHaveLength(3);
  });

  it('ends when it is asked to while that command runs', async () => {
    const cleaner = new FakeSpawner();
    const child = await start({ afterCrash: cleaner.spawn });
    spawner.last.exit(failed);
    await vi.advanceTimersByTimeAsync(1_000);
    const stopped = child.stop('SIGTERM');
    cleaner.last.exit({ code: 0, signal: null });
    expect(await stopped).toBe(0);
    expect(spawner.children).toHaveLength(1);
  });
});
