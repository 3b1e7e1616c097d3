import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Backoff } from './backoff.ts';

const options = { initialMs: 250, maxMs: 3000, factor: 2, goodRunMs: 60_000 };

describe('Backoff', () => {
  it('doubles up to its limit', () => {
    const backoff = new Backoff(options);
    expect(Array.from({ length: 6 }, () => backoff.after(10))).toEqual([250, 500, 1000, 2000, 3000, 3000]);
  });

  it('begins anew after a good run', () => {
    const backoff = new Backoff(options);
    for (let failures = 0; failures < 4; failures++) backoff.after(59_999);
    expect([backoff.after(60_000), backoff.after(0)]).toEqual([250, 500]);
  });

  it('never leaves its bounds', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(120_000)), (runs) => {
        const backoff = new Backoff(options);
        for (const ran of runs) {
          const delay = backoff.after(ran);
          expect(delay).toBeGreaterThanOrEqual(options.initialMs);
          expect(delay).toBeLessThanOrEqual(options.maxMs);
        }
      }),
    );
  });
});
