import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Outage } from './outage.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

describe('Outage', () => {
  it('lets everybody go on when the source is there again', async () => {
    const outage = new Outage(10);
    const waits = [outage.wait('', 20_000), outage.wait('', Infinity)];
    expect(outage.waiting).toBe(2);
    outage.over('');
    expect(await Promise.all(waits)).toEqual(['live', 'live']);
    expect(outage.waiting).toBe(0);
  });

  it('lets nobody go on who waits for another source', async () => {
    const outage = new Outage(10);
    const one = outage.wait('/a', Infinity);
    void outage.wait('/b', Infinity);
    outage.over('/a');
    expect(await one).toBe('live');
    expect([outage.waitingFor('/a'), outage.waitingFor('/b')]).toEqual([0, 1]);
  });

  it('gives up after the time asked for, and never when none was', async () => {
    const outage = new Outage(10);
    const short = outage.wait('', 20_000);
    void outage.wait('', Infinity);
    await vi.advanceTimersByTimeAsync(1_000_000);
    expect(await short).toBe('expired');
    expect(outage.waiting).toBe(1);
  });

  it('sends away the oldest when too many wait', async () => {
    const outage = new Outage(2);
    const first = outage.wait('', Infinity);
    void outage.wait('', Infinity);
    void outage.wait('', Infinity);
    expect(await first).toBe('crowded');
    expect(outage.waiting).toBe(2);
  });

  it('forgets who does not wait any more', async () => {
    const outage = new Outage(2);
    const controller = new AbortController();
    const wait = outage.wait('', Infinity, controller.signal);
    controller.abort();
    expect(await wait).toBe('abandoned');
    expect(await outage.wait('', Infinity, controller.signal)).toBe('abandoned');
    expect(outage.waiting).toBe(0);
  });

  it('sends everybody away, and whoever comes later, when the gateway is going', async () => {
    const outage = new Outage(2);
    const wait = outage.wait('', Infinity);
    outage.dismiss();
    expect(await wait).toBe('crowded');
    expect(await outage.wait('', Infinity)).toBe('crowded');
    expect(outage.waiting).toBe(0);
  });
});
