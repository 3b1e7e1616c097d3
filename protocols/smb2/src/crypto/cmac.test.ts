import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AesCmac } from './cmac.ts';

const key = Buffer.from('2b7e151628aed2a6abf7158809cf4f3c', 'hex');
const message = Buffer.from(
  '6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51' +
    '30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710',
  'hex',
);

// RFC 4493 section 4, all from one instance, in both orders
test('vectors', () => {
  const cmac = new AesCmac(key);
  const vectors = [
    [0, 'bb1d6929e95937287fa37d129b756746'],
    [16, '070a16b46b4d4144f79bdd9dd04a287c'],
    [40, 'dfa66747de9ae63030ca32611497c827'],
    [64, '51f0bebf7e3b9d92fc49741779363cfe'],
  ] as const;
  for (const [length, code] of [...vectors, ...vectors.toReversed()]) {
    expect(cmac.digest(message.subarray(0, length)).toString('hex')).toBe(code);
  }
});

test('the split into parts does not matter', () => {
  const cmac = new AesCmac(key);
  const part = fc.oneof(
    { weight: 4, arbitrary: fc.integer({ min: 0, max: 100 }) },
    { weight: 2, arbitrary: fc.constantFrom(16, 64, 4080, 4095, 4096, 4097, 4112, 8192) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 200_000 }) },
  );
  fc.assert(
    fc.property(fc.array(part, { maxLength: 6 }), fc.array(part, { maxLength: 6 }), (lengths, cuts) => {
      const parts = lengths.map((length, i) => Buffer.alloc(length, `part ${i} of a message`));
      const whole = Buffer.concat(parts);
      const pieces: Buffer[] = [];
      let rest = whole;
      for (const cut of cuts) {
        pieces.push(rest.subarray(0, cut));
        rest = rest.subarray(cut);
      }
      pieces.push(rest);
      const expected = cmac.digest(whole);
      expect(cmac.digest(...parts)).toEqual(expected);
      expect(cmac.digest(...pieces)).toEqual(expected);
      expect(new AesCmac(key).digest(whole)).toEqual(expected);
      expect(Buffer.concat(parts).equals(whole)).toBe(true);
    }),
    { numRuns: 60 },
  );
});

// From pycryptodome: longer than both the scratch buffer and one slice
test('a long message', () => {
  const long = Buffer.from(Uint8Array.from({ length: 150_001 }, (_, i) => i * 7 + 3));
  expect(new AesCmac(key).digest(long).toString('hex')).toBe('e6f617f95d92a37b5db88302d55c33cc');
});
