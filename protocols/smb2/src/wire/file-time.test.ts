import { describe, expect, it } from 'vitest';
import { fileTimeOf, toFileTime } from './file-time.ts';

describe('FILETIME', () => {
  it('counts from 1601', () => {
    expect(toFileTime(0)).toBe(116_444_736_000_000_000n);
    expect(toFileTime(-11_644_473_600)).toBe(0n);
    expect(toFileTime(1, 999_999_999)).toBe(116_444_736_019_999_999n);
    expect(fileTimeOf(1500)).toBe(116_444_736_015_000_000n);
  });

  it('is held within what can be told', () => {
    expect(toFileTime(-1e11)).toBe(0n);
    expect(toFileTime(1e15)).toBe(0x7fffffffffffffffn);
  });
});
