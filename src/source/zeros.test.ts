import { expect, it } from 'vitest';
import { mayHoldHole } from './zeros.ts';

const bytes = (length: number, ...holes: [number, number][]) => {
  const buffer = Buffer.alloc(length, 7);
  for (const [from, to] of holes) buffer.fill(0, from, to);
  return buffer;
};

it.each([
  ['no zeros', bytes(65536), 0, false],
  ['a page', bytes(65536, [8192, 12288]), 0, true],
  ['the end of a page', bytes(65536, [12188, 12288]), 0, true],
  ['zeros within a page', bytes(65536, [8192, 12280]), 0, false],
  ['a page in the file, not in the buffer', bytes(65536, [4092, 8188]), 4, true],
  ['the last page, which is not whole', bytes(10_000, [9_990, 10_000]), 0, true],
  ['the end of a page that begins before', bytes(8192, [0, 100]), 4096 - 100, true],
  ['single zeros', bytes(65536, [0, 1], [4095, 4096], [6000, 6100]), 0, false],
  ['all of a small file', bytes(5, [0, 5]), 0, true],
  ['nothing', Buffer.alloc(0), 0, false],
])('finds what may be a hole: %s', (_, buffer, position, expected) => {
  expect(mayHoldHole(buffer, position)).toBe(expected);
});
