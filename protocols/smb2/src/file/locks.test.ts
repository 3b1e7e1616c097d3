import { describe, expect, it } from 'vitest';
import { RangeLocks } from './locks.ts';

describe('byte-range locks', () => {
  const [one, two] = [{}, {}];

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
