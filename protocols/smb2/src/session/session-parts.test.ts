import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { MalformedError } from '../errors.ts';
import { CreditWindow } from './credits.ts';
import { RangeLocks } from './locks.ts';
import type { Open } from './open.ts';
import { PersistentIds } from './persistent-id.ts';
import { ReadBudget } from './read-budget.ts';

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

describe('byte-range locks', () => {
  const opens: readonly unknown[] = [{}, {}];
  const [one, two] = opens as [Open, Open];

  it('conflict as shared and exclusive locks do', () => {
    const locks = new RangeLocks();
    locks.add({ open: one, offset: 0n, length: 10n, exclusive: false });
    expect(locks.conflict(two, 5n, 10n, false)).toBeUndefined();
    expect(locks.conflict(two, 5n, 10n, true)).toBeDefined();
    expect(locks.conflict(two, 10n, 10n, true)).toBeUndefined();
    expect(locks.allows(two, 0, 5, false)).toBe(true);
    expect(locks.allows(two, 0, 5, true)).toBe(false);
    expect(locks.remove(two, 0n, 10n)).toBe(false);
    expect(locks.remove(one, 0n, 10n)).toBe(true);
    expect(locks.length).toBe(0);
  });

  it('reach to the end of the 64-bit range', () => {
    const locks = new RangeLocks();
    locks.add({ open: one, offset: 0xfffffffffffffffen, length: 2n, exclusive: true });
    expect(locks.conflict(two, 0xffffffffffffffffn, 1n, false)).toBeDefined();
    expect(locks.conflict(two, 0n, 0xfffffffffffffffen, false)).toBeUndefined();
  });
});

describe('persistent ids', () => {
  it('are a permutation that only the key undoes', () => {
    const ids = new PersistentIds(Buffer.alloc(32, 1), 'share');
    const other = new PersistentIds(Buffer.alloc(32, 2), 'share');
    const elsewhere = new PersistentIds(Buffer.alloc(32, 1), 'other');
    fc.assert(
      fc.property(fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }), (id) => {
        expect(ids.decode(ids.encode(id))).toBe(id);
        expect(other.decode(ids.encode(id))).not.toBe(id);
        expect(elsewhere.decode(ids.encode(id))).not.toBe(id);
      }),
    );
  });

  it('stay the same for ever', () => {
    expect(new PersistentIds(Buffer.alloc(32, 1), 'share').encode(42n)).toMatchInlineSnapshot(
      `2343768506030189485n`,
    );
  });
});

describe('read budget', () => {
  it('lets waiting reads in by their order, and a single large one always', async () => {
    const budget = new ReadBudget(100);
    expect(budget.take(1000)).toBeUndefined();
    const order: number[] = [];
    const second = budget.take(60)?.then(() => order.push(2));
    const third = budget.take(60)?.then(() => order.push(3));
    budget.give(1000);
    await second;
    expect(order).toEqual([2]);
    budget.give(60);
    await third;
    expect(order).toEqual([2, 3]);
  });
});
