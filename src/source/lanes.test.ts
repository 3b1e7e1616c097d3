import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { TreeError } from './errors.ts';
import { Lane, createLanes, exportsMax, type CallOptions, type Callback } from './lanes.ts';
import { SourceLimits } from './limits.ts';

/** Starts a call that ends when the test calls `finish`. */
function held(lane: Lane, key = 'k', options: CallOptions<string> = {}) {
  let done: Callback<string> | undefined;
  const result = lane.run<string>(key, (callback) => (done = callback), options);
  const outcome = result.then(
    (value) => value,
    (error: unknown) => (error instanceof TreeError ? error.code : error),
  );
  return { outcome, begun: () => done !== undefined, finish: (value = '') => done?.(null, value) };
}
const begun = (calls: { begun: () => boolean }[]) => calls.filter((call) => call.begun()).length;

/** Makes keys known to answer quickly. */
function prove(lane: Lane, ...keys: string[]) {
  for (const key of keys) held(lane, key).finish();
}

beforeEach(() => vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));
afterEach(() => vi.useRealTimers());

describe('Lane', () => {
  it('runs no more calls at once than its limit, and queues further calls in order', async () => {
    const lane = new Lane('close', 2, 1_000);
    const calls = [held(lane), held(lane), held(lane), held(lane)];
    expect(calls.map((call) => call.begun())).toEqual([true, true, false, false]);
    expect(lane.waiting).toBe(2);
    calls[1]!.finish('b');
    expect(await calls[1]!.outcome).toBe('b');
    expect(calls.map((call) => call.begun())).toEqual([true, true, true, false]);
  });

  it('frees the caller at the deadline but keeps the place until the kernel returns', async () => {
    const lane = new Lane('close', 1, 1_000);
    const late: string[] = [];
    const ended: string[] = [];
    const hung = held(lane, 'a', { onLate: (value) => late.push(value), onEnd: () => ended.push('a') });
    vi.advanceTimersByTime(1_000);
    expect(await hung.outcome).toBe('timeout');
    expect(lane).toMatchObject({ inFlight: 1, hung: 1 });
    expect(ended).toEqual([]);
    hung.finish('at last');
    expect(late).toEqual(['at last']);
    expect(ended).toEqual(['a']);
    expect(lane).toMatchObject({ inFlight: 0, hung: 0, waiting: 0 });
  });

  it('leaves places for other mounts, however many calls of one hang', () => {
    const lane = new Lane('data', 64, 100_000);
    lane.baseOf = (key) => key.slice(0, 2);
    const many = (base: string) => Array.from({ length: 64 }, (_, i) => held(lane, `${base}/${i}`));
    const places = (base: string) => {
      const calls = many(base);
      vi.advanceTimersByTime(10_000);
      return begun(calls);
    };
    held(lane, '/c').finish();
    // A quarter is reserved for keys that answered recently; of the rest each mount takes half of what the others leave.
    expect(places('/a')).toBe(24);
    expect(places('/b')).toBe(12);
    expect(held(lane, '/c/unknown').begun()).toBe(true);
    lane.dismissOf('/a', new TreeError('down'));
    expect(lane.waiting).toBe(64 - 12);
  });

  it('does not time out a call that has not begun: its deadline counts from its begin', async () => {
    const lane = new Lane('close', 1, 1_000);
    const first = held(lane);
    const second = held(lane);
    vi.advanceTimersByTime(900);
    first.finish('a');
    vi.advanceTimersByTime(900);
    second.finish('b');
    expect(await second.outcome).toBe('b');
    const third = held(lane);
    const fourth = held(lane);
    vi.advanceTimersByTime(1_100);
    expect(await third.outcome).toBe('timeout');
    vi.advanceTimersByTime(SourceLimits.queueSlack);
    expect(await fourth.outcome).toBe('busy');
  });

  it('measures each deadline from its own start', async () => {
    const lane = new Lane('probe', 4, 1_000);
    const first = held(lane);
    vi.advanceTimersByTime(600);
    const second = held(lane);
    vi.advanceTimersByTime(500);
    expect(await first.outcome).toBe('timeout');
    second.finish('in time');
    expect(await second.outcome).toBe('in time');
  });

  it('fails a call that cannot even begin', async () => {
    const lane = new Lane('metadata', 4, 1_000);
    const result = lane.run('k', () => {
      throw new TypeError('bad argument');
    });
    await expect(result).rejects.toThrow('bad argument');
    expect(lane.inFlight).toBe(0);
  });

  it('drops a queued call that is no longer wanted when its turn comes', async () => {
    const lane = new Lane('close', 1, 1_000);
    const first = held(lane);
    const second = held(lane, 'k', { wanted: () => false });
    const third = held(lane);
    first.finish();
    expect(await second.outcome).toBe('cancelled');
    expect([second.begun(), third.begun()]).toEqual([false, true]);
  });

  it('refuses queued calls when the source goes away, but not running ones', async () => {
    const lane = new Lane('close', 1, 1_000);
    const running = held(lane, '/a/x');
    const [here, elsewhere] = [held(lane, '/a/y'), held(lane, '/b/y')];
    lane.dismiss(new TreeError('down'), (key) => key.startsWith('/a/'));
    expect(await here.outcome).toBe('down');
    expect(lane.waiting).toBe(1);
    running.finish('x');
    expect(await running.outcome).toBe('x');
    expect(elsewhere.begun()).toBe(true);
  });
});

describe('the data lane', () => {
  it('gives a file one place until it has answered, then several', () => {
    const lane = new Lane('data', 64, 150_000);
    const unknown = [held(lane, 'a'), held(lane, 'a')];
    expect(begun(unknown)).toBe(1);
    unknown[0]!.finish();
    unknown[1]!.finish();
    expect(begun(Array.from({ length: 20 }, () => held(lane, 'a')))).toBe(SourceLimits.callsPerKey);
  });

  it('leaves places for healthy files, however many others hang, before and after the deadlines', () => {
    const lane = new Lane('data', 64, 10_000);
    prove(lane, 'known');
    const hung = Array.from({ length: 50 }, (_, i) => i).flatMap((i) =>
      Array.from({ length: 16 }, () => held(lane, `hung ${i}`)),
    );
    expect(begun(hung)).toBe(48);
    for (let round = 0; round < 3; round++) {
      const known = [held(lane, 'known'), held(lane, 'known')];
      expect(known[0]!.begun()).toBe(true);
      for (const call of known) call.finish();
      vi.advanceTimersByTime(6_000);
      expect(lane.inFlight).toBe(48);
    }
  });

  it('gives a new file a place while as many as fifty others hang', () => {
    const { data } = createLanes();
    for (let i = 0; i < 50; i++) for (let n = 0; n < 16; n++) held(data, `hung ${i}`);
    vi.advanceTimersByTime(5_000);
    expect(held(data, 'never read before').begun()).toBe(true);
  });

  it('gives a file no further place while one of its calls is slow', () => {
    const lane = new Lane('data', 64, 150_000);
    prove(lane, 'a');
    const slow = held(lane, 'a');
    vi.advanceTimersByTime(SourceLimits.slowCall);
    const next = held(lane, 'a');
    expect(next.begun()).toBe(false);
    slow.finish();
    expect(next.begun()).toBe(true);
  });

  it('gives a slow file a few places while it still answers', () => {
    const lane = new Lane('data', 64, 150_000);
    const first = held(lane, 'a');
    vi.advanceTimersByTime(8_000);
    first.finish();
    const calls = Array.from({ length: 8 }, () => held(lane, 'a'));
    expect(begun(calls)).toBe(SourceLimits.callsPerSlowKey);
    vi.advanceTimersByTime(9_000);
    calls[0]!.finish();
    expect(begun(calls)).toBe(SourceLimits.callsPerSlowKey + 1);
    vi.advanceTimersByTime(30_000);
    const more = held(lane, 'a');
    expect(more.begun()).toBe(false);
  });

  it('divides the places among files that are read at the same time', () => {
    const lane = new Lane('data', 32, 150_000);
    const keys = Array.from({ length: 8 }, (_, i) => `f${i}`);
    prove(lane, ...keys);
    const calls = keys.map((key) => Array.from({ length: 8 }, () => held(lane, key)));
    for (const ofOne of calls) expect(begun(ofOne)).toBeGreaterThan(0);
  });
});

describe('the metadata lane', () => {
  it('runs calls for other entries of a directory while some hang', () => {
    const lane = new Lane('metadata', 64, 60_000);
    prove(lane, '/d');
    for (let i = 0; i < SourceLimits.callsPerKey; i++) held(lane, '/d');
    const sibling = held(lane, '/d');
    expect(sibling.begun()).toBe(false);
    vi.advanceTimersByTime(SourceLimits.slowCall * 2);
    expect(sibling.begun()).toBe(true);
  });

  it('gives a directory in which everything hangs no more than half of the lane', () => {
    const lane = new Lane('metadata', 64, 60_000);
    prove(lane, '/d', '/other');
    const hung = Array.from({ length: 200 }, () => held(lane, '/d'));
    for (let i = 0; i < 100; i++) vi.advanceTimersByTime(SourceLimits.slowCall);
    expect(begun(hung)).toBeLessThanOrEqual(32 + SourceLimits.callsPerKey);
    expect(held(lane, '/other').begun()).toBe(true);
  });
});

describe('createLanes', () => {
  it.each([1, 2, 5, 16, exportsMax])(
    'gives %i exports places of their own, and no more than there are',
    (exports) => {
      const lanes = createLanes({ exports });
      for (const lane of Object.values(lanes)) expect(lane.limit).toBeGreaterThan(0);
      const places = Object.values(lanes).reduce((sum, lane) => sum + lane.limit, 0);
      expect(places * exports).toBeLessThanOrEqual(SourceLimits.poolThreads - SourceLimits.spareThreads);
    },
  );
});
