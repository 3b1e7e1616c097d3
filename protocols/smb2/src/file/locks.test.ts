import { describe, expect, it } from 'vitest';
import { RangeLocks } from './locks.ts';

describe('byte-range locks', () => {
  const [one, two] = [{ session: {} }, { session: {} }];

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

  it('bind nobody else where nothing can be written', () => {
    const locks = new RangeLocks(true);
    const beside = { session: one.session };
    locks.add({ open: one, offset: 0n, length: 10n, exclusive: true });
    expect(locks.conflict(two, 5n, 10n, true)).toBeUndefined();
    expect(locks.allows(two, 0, 5, false)).toBe(true);
    expect(locks.conflict(beside, 5n, 10n, true)).toBeDefined();
    expect(locks.allows(beside, 0, 5, false)).toBe(false);
  });

  it('reach to the end of the 64-bit range', () => {
    const locks = new RangeLocks();
    locks.add({ open: one, offset: 0xfffffffffffffffen, length: 2n, exclusive: true });
    expect(locks.conflict(two, 0xffffffffffffffffn, 1n, false)).toBeDefined();
    expect(locks.conflict(two, 0n, 0xfffffffffffffffen, false)).toBeUndefined();
  });
});
