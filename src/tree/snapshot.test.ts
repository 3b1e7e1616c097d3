import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Snapshot } from './snapshot.ts';

const entry = (name: string, high: number, low: number) => ({ name, nameHash: { high, low } });

it('is the same if made in slices or in another order, and has unique ascending cookies', async () => {
  const half = fc.constantFrom(0, 1, 2, 0x80000000, 0xffffffff);
  const some = fc.record({ high: half, low: half });
  await fc.assert(
    fc.asyncProperty(
      fc.array(some, { minLength: 1, maxLength: 50 }),
      fc.constantFrom(1, 2, 50, 2_047, 2_048, 2_049, 6_500),
      async (hashes, count) => {
        const nodes = Array.from({ length: count }, (_, i) => {
          const { high, low } = hashes[i % hashes.length]!;
          return entry(String(i), high, i % 3 === 0 ? (low ^ Math.imul(i, 4096)) >>> 0 : low);
        });
        const whole = Snapshot.of(nodes);
        const sliced = await Snapshot.sliced([...nodes].reverse());
        expect(sliced.digest).toBe(whole.digest);
        expect(sliced.nodes.every((node, i) => node === whole.nodes[i])).toBe(true);
        for (let i = 0; i < count; i++) {
          if (sliced.cookieAt(i) !== whole.cookieAt(i)) throw new Error('another cookie');
          if (i > 0 && whole.cookieAt(i) <= whole.cookieAt(i - 1)) throw new Error('not in order');
          if (whole.after(whole.cookieAt(i)) !== i + 1) throw new Error('not behind the cookie');
        }
      },
    ),
    { numRuns: 10 },
  );
});
