import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { contentDigest, contentSeed, fillContent, firstDifference, makeContent } from './content.ts';

const SIZE = 3 * 1024 * 1024;
const whole = makeContent('/a', 0, SIZE);

it('gives the same bytes for any offset and length', () => {
  fc.assert(
    fc.property(fc.nat(SIZE - 1), fc.nat(10_000), (offset, length) => {
      const expected = whole.subarray(offset, offset + length);
      expect(makeContent('/a', offset, expected.length).equals(expected)).toBe(true);
    }),
  );
  expect(contentDigest('/a', SIZE)).toBe(createHash('sha256').update(whole).digest('hex'));
});

it('makes every page of every file and version different', () => {
  const pages = new Set<string>();
  for (const seed of ['/a', '/b', contentSeed('/a', 1)]) {
    const bytes = makeContent(seed, 0, SIZE);
    for (let at = 0; at < SIZE; at += 4096) pages.add(bytes.toString('latin1', at, at + 4096));
  }
  expect(pages.size).toBe((3 * SIZE) / 4096);
  expect(contentSeed('/a', 0)).toBe('/a');
});

it('finds the first wrong byte', () => {
  const bytes = makeContent('/a', 12_345, 5000);
  expect(firstDifference('/a', 12_345, bytes)).toBe(-1);
  bytes[4321]! ^= 1;
  expect(firstDifference('/a', 12_345, bytes)).toBe(4321);
});

it('reaches offsets beyond 4 GiB', () => {
  const target = Buffer.alloc(8192);
  fillContent('/a', 2 ** 40 - 4096, target);
  expect(target.subarray(4096).equals(makeContent('/a', 2 ** 40, 4096))).toBe(true);
});
