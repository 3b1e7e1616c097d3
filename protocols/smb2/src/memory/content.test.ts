import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StatusError } from '../backend.ts';
import { Status } from '../wire/status.ts';
import { Budget, SparseContent } from './content.ts';

const CHUNK = 65536;

const step = fc.oneof(
  fc.record({
    kind: fc.constant('write' as const),
    offset: fc.integer({ min: 0, max: 3 * CHUNK }),
    length: fc.integer({ min: 0, max: 2 * CHUNK }),
    byte: fc.integer({ min: 1, max: 255 }),
  }),
  fc.record({ kind: fc.constant('truncate' as const), size: fc.integer({ min: 0, max: 4 * CHUNK }) }),
);

describe('SparseContent', () => {
  it('reads what a flat buffer would', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const budget = new Budget(16 * CHUNK);
        const content = new SparseContent(budget);
        const model = Buffer.alloc(6 * CHUNK);
        let size = 0;
        for (const change of steps) {
          if (change.kind === 'write') {
            content.write(change.offset, Buffer.alloc(change.length, change.byte));
            model.fill(change.byte, change.offset, change.offset + change.length);
            if (change.length > 0) size = Math.max(size, change.offset + change.length);
          } else {
            content.truncate(change.size);
            model.fill(0, change.size);
            size = change.size;
          }
        }
        const target = Buffer.alloc(6 * CHUNK, 0xee);
        expect(content.read(0, target)).toBe(size);
        expect(content.size).toBe(size);
        expect(target.subarray(0, size).equals(model.subarray(0, size))).toBe(true);
        expect(budget.capacity - budget.free).toBe(content.heldBytes);
      }),
      { numRuns: 60 },
    );
  });

  it('takes no memory for holes and gives back what is cut off', () => {
    const budget = new Budget(2 * CHUNK);
    const content = new SparseContent(budget);
    content.truncate(2 ** 40);
    content.write(2 ** 41, Buffer.from('far'));
    expect(content.size).toBe(2 ** 41 + 3);
    expect(content.heldBytes).toBe(512);
    const target = Buffer.alloc(4);
    expect(content.read(2 ** 41, target)).toBe(3);
    expect(content.read(2 ** 42, target)).toBe(0);
    content.truncate(0);
    expect(budget.free).toBe(2 * CHUNK);
  });

  it('tells what is allocated and gives back what is punched out', () => {
    const budget = new Budget(8 * CHUNK);
    const content = new SparseContent(budget);
    content.write(0, Buffer.alloc(2 * CHUNK, 1));
    content.write(4 * CHUNK, Buffer.alloc(10, 2));
    const all = { offset: 0, length: 2 ** 50 };
    expect(content.allocated(all)).toEqual([
      { offset: 0, length: 2 * CHUNK },
      { offset: 4 * CHUNK, length: 10 },
    ]);
    expect(content.allocated({ offset: CHUNK + 1, length: CHUNK })).toEqual([
      { offset: CHUNK + 1, length: CHUNK - 1 },
    ]);
    content.punch({ offset: 10, length: 4 * CHUNK - 5 });
    expect(content.allocated(all)).toEqual([
      { offset: 0, length: CHUNK },
      { offset: 4 * CHUNK, length: 10 },
    ]);
    const target = Buffer.alloc(CHUNK);
    content.read(0, target);
    expect(target.equals(Buffer.concat([Buffer.alloc(10, 1), Buffer.alloc(CHUNK - 10)]))).toBe(true);
    content.read(4 * CHUNK, target);
    expect([...target.subarray(0, 10)]).toEqual([0, 0, 0, 0, 0, 2, 2, 2, 2, 2]);
    content.punch(all);
    expect(content.size).toBe(4 * CHUNK + 10);
    expect(budget.free).toBe(8 * CHUNK);
  });

  it('writes nothing when the budget does not reach', () => {
    const content = new SparseContent(new Budget(CHUNK));
    content.write(0, Buffer.alloc(10, 1));
    expect(() => content.write(5, Buffer.alloc(CHUNK))).toThrow(new StatusError(Status.DISK_FULL));
    expect(content.size).toBe(10);
    expect(content.heldBytes).toBe(512);
  });
});
