import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareNames, NameTable } from './name-table.ts';

const name = fc.string({
  unit: fc.constantFrom('a', 'A', 'b', 'B', 'é', 'É', 'ß', '.'),
  minLength: 1,
  maxLength: 3,
});

describe('NameTable', () => {
  it('finds exact spellings first, then the first in listing order', () => {
    const table = new NameTable<number>();
    table.set('readme', 1);
    table.set('README', 2);
    expect(table.find('readme', false)).toBe(1);
    expect(table.find('ReadMe', false)).toBe(2);
    expect(table.find('ReadMe', true)).toBeUndefined();
    table.delete('README');
    expect(table.find('ReadMe', false)).toBe(1);
  });

  it('keeps one order whatever the order of changes', () => {
    fc.assert(
      fc.property(fc.array(fc.record({ name, add: fc.boolean() }), { maxLength: 30 }), (changes) => {
        const table = new NameTable<number>();
        const model = new Map<string, number>();
        changes.forEach(({ name: key, add }, index) => {
          if (add) {
            table.set(key, index);
            model.set(key, index);
          } else {
            table.delete(key);
            model.delete(key);
          }
        });
        expect(table.names()).toEqual([...model.keys()].sort(compareNames));
        expect(table.size).toBe(model.size);
        for (const [key, value] of model) expect(table.get(key)).toBe(value);
      }),
    );
  });
});
