import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { TreeError } from './errors.ts';
import { Lane, createLanes, type Callback } from './lanes.ts';

/** Calls that end when the test says so. */
function held(lane: Lane, onLate?: (value: string) => void) {
  let done: Callback<string> | undefined;
  const result = lane.run<string>((callback) => (done = callback), onLate);
  const outcome = result.then(
    (value) => value,
    (error: unknown) => (error instanceof TreeError ? error.code : error),
  );
  return { outcome, begun: () => done !== undefined, finish: (value: string) => done?.(null, value) };
}

describe('Lane', () => {
  beforeEach(() => vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));
  afterEach(() => vi.useRealTimers());

  it('runs no more calls at once than its limit, the others in order', async () => {
    const lane = new Lane('data', 2, 1_000);
    const calls = [held(lane), held(lane), held(lane), held(lane)];
    expect(calls.map((call) => call.begun())).toEqual([true, true, false, false]);
    expect(lane.waiting).toBe(2);
    calls[1]!.finish('b');
    expect(await calls[1]!.outcome).toBe('b');
    expect(calls.map((call) => call.begun())).toEqual([true, true, true, false]);
  });

  it('frees the caller at the deadline but keeps the place until the kernel lets go', async () => {
    const lane = new Lane('data', 1, 1_000);
    const late: string[] = [];
    const hung = held(lane, (value) => late.push(value));
    const second = held(lane);
    vi.advanceTimersByTime(1_000);
    expect(await hung.outcome).toBe('timeout');
    expect(await second.outcome).toBe('timeout');
    expect(lane).toMatchObject({ inFlight: 1, hung: 1 });
    hung.finish('at last');
    expect(late).toEqual(['at last']);
    expect(lane).toMatchObject({ inFlight: 0, hung: 0, waiting: 0 });
    expect(second.begun()).toBe(false);
  });

  it('measures each deadline from its own start', async () => {
    const lane = new Lane('metadata', 4, 1_000);
    const first = held(lane);
    vi.advanceTimersByTime(600);
    const second = held(lane);
    vi.advanceTimersByTime(500);
    expect(await first.outcome).toBe('timeout');
    second.finish('in time');
    expect(await second.outcome).toBe('in time');
  });

  it('fails a call that cannot even begin', async () => {
    const lane = new Lane('metadata', 1, 1_000);
    const result = lane.run(() => {
      throw new TypeError('bad argument');
    });
    await expect(result).rejects.toThrow('bad argument');
    expect(lane.inFlight).toBe(0);
  });
});

describe('createLanes', () => {
  it.each([1, 2, 5, 50])('gives %i exports places of their own', (exports) => {
    const lanes = createLanes({ exports, poolThreads: 64 });
    for (const lane of Object.values(lanes)) expect(lane.limit).toBeGreaterThan(0);
    const places = Object.values(lanes).reduce((sum, lane) => sum + lane.limit, 0);
    if (exports <= 5) expect(places * exports).toBeLessThanOrEqual(60);
  });
});
