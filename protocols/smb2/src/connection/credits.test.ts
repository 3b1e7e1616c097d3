import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MalformedError } from '../errors.ts';
import { CreditWindow } from './credits.ts';

describe('credits', () => {
  it('accept each id of the window once', () => {
    const window = new CreditWindow(512);
    window.use(0, 1);
    expect(() => window.use(0, 1)).toThrow(MalformedError);
    expect(window.grant(10)).toBe(10);
    window.use(5, 2);
    expect(() => window.use(6, 1)).toThrow(MalformedError);
    expect(() => window.use(11, 1)).toThrow(MalformedError);
    window.use(1, 4);
    expect(() => window.use(4, 1)).toThrow(MalformedError);
  });

  it('never exceed the most, whatever is asked for', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(65535), { maxLength: 50 }), (asked) => {
        const window = new CreditWindow(128);
        for (const credits of asked) window.grant(credits);
        expect(window.granted).toBeLessThanOrEqual(128);
      }),
    );
  });

  it('tell when few are left, and when few were from the start', () => {
    const window = new CreditWindow(16);
    window.grant(9);
    let told = 0;
    window.whenFew(7, () => (told += 1));
    window.use(0, 2);
    expect([told, window.granted]).toEqual([0, 8]);
    window.use(2, 1);
    expect([told, window.granted]).toEqual([1, 7]);
    window.whenFew(7, () => (told += 1));
    expect(told).toBe(2);
  });

  it('go on for ever when used in order', () => {
    const window = new CreditWindow(16);
    for (let id = 0; id < 10_000; id++) {
      window.use(id, 1);
      expect(window.grant(1)).toBe(1);
    }
  });
});
