import fc from 'fast-check';
import { expect, it } from 'vitest';
import { IdTable, type Identified } from './id-table.ts';

it('behaves like a map of whole ids, even if halves of ids are equal', () => {
  const half = fc.constantFrom(0, 1, 2, 0x7fffffff, 0x80000000, 0xffffffff);
  const step = fc.record({ does: fc.constantFrom('set', 'delete', 'deleteOther'), high: half, low: half });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const table = new IdTable<Identified>();
      const model = new Map<string, Identified>();
      for (const { does, high, low } of steps) {
        const key = `${high} ${low}`;
        const one = { idHigh: high, idLow: low };
        if (does === 'set') {
          table.set(one);
          model.set(key, one);
        } else if (does === 'delete') {
          table.delete(model.get(key));
          model.delete(key);
        } else table.delete(one);
        expect(table.size).toBe(model.size);
        expect(table.get(high, low)).toBe(model.get(key));
      }
    }),
  );
});
