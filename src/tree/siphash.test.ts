import { describe, expect, it } from 'vitest';
import { SipHash } from './siphash.ts';

const key = Buffer.from(Array.from({ length: 16 }, (_, i) => i));

/** The reference implementation's vectors: input 00, 00 01, 00 01 02 … under the key 00..0f; bytes little-endian. */
const vectors: readonly (readonly [number, string])[] = [
  [0, '310e0edd47db6f72'],
  [1, 'fd67dc93c539f874'],
  [2, '5a4fa9d909806c0d'],
  [7, '37d1018bf50002ab'],
  [8, '6224939a79f5f593'],
  [15, 'e545be4961ca29a1'],
  [16, 'db9bc2577fcc2a3f'],
];

describe('SipHash-2-4', () => {
  it.each(vectors)('hashes %i bytes as the reference does', (length, expected) => {
    const hash = new SipHash(key);
    hash.update(String.fromCharCode(...Array.from({ length }, (_, i) => i)));
    const bytes = Buffer.alloc(8);
    bytes.writeUInt32LE(hash.low, 0);
    bytes.writeUInt32LE(hash.high, 4);
    expect(bytes.toString('hex')).toBe(expected);
  });

  it('hashes bytes above 0x7f unchanged', () => {
    const hash = new SipHash(key);
    hash.update('\xff\xfe\x80');
    const first = [hash.high, hash.low];
    hash.update('\x7f\x7e\x00');
    expect([hash.high, hash.low]).not.toEqual(first);
  });

  it('refuses a key of another length', () => {
    expect(() => new SipHash(Buffer.alloc(8))).toThrow(RangeError);
  });
});
