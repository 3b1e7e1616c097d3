import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PersistentIds } from './persistent-id.ts';

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
