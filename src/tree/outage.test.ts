import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Outage } from './outage.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

describe('Outage', () => {
  it('releases all requests when the source is live again', async () => {
    const outage = new Outage(10);
    const waits = [outage.wait('', 20_000), outage.wait('', Infinity)];
    expect(outage.waiting).toBe(2);
    outage.over('');
    expect(await Promise.all(waits)).toEqual(['live', 'live']);
    expect(outage.waiting).toBe(0);
  });

  it('does not release requests that wait for another mount', async () => {
    const outage = new Outage(10);
    const one = outage.wait('/a', Infinity);
    void outage.wait('/b', Infinity);
    outage.over('/a');
    expect(await one).toBe('live');
    expect([outage.waitingFor('/a'), outage.waitingFor('/b')]).toEqual([0, 1]);
  });

  it('ends a wait after its timeout, and never without one', async () => {
    const outage = new Outage(10);
    const short = outage.wait('', 20_000);
    void outage.wait('', Infinity);
    await vi.advanceTimersByTimeAsync(1_000_000);
    expect(await short).toBe('expired');
    expect(outage.waiting).toBe(1);
  });

  it('releases the oldest request when too many wait', async () => {
    const outage = new Outage(2);
    const first = outage.wait('', Infinity);
    void outage.wait('', Infinity);
    void outage.wait('', Infinity);
    expect(await first).toBe('crowded');
    expect(outage.waiting).toBe(2);
  });

  it('drops aborted requests', async () => {
    const outage = new Outage(2);
    const controller = new AbortController();
    const wait = outage.wait('', Infinity, controller.signal);
    controller.abort();
    expect(await wait).toBe('abandoned');
    expect(await outage.wait('', Infinity, controller.signal)).toBe('abandoned');
    expect(outage.waiting).toBe(0);
  });

  it('releases all requests, and refuses later ones, when the gateway stops', async () => {
    const outage = new Outage(2);
    const wait = outage.wait('', Infinity);
    outage.dismiss();
    expect(await wait).toBe('crowded');
    expect(await outage.wait('', Infinity)).toBe('crowded');
    expect(outage.waiting).toBe(0);
  });
});
