import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createSigner } from './signer.ts';
import type { SigningAlgorithm } from './signer.ts';

const key = Buffer.from(Uint8Array.from({ length: 16 }, (_, i) => i));
const body = Buffer.from(Uint8Array.from({ length: 100 }, (_, i) => i * 7 + 3));

function packet({ command = 8, flags = 9 } = {}): Buffer {
  const header = Buffer.alloc(64);
  header.write('fe534d42400001', 'hex');
  header.writeUInt16LE(command, 12);
  header.writeUInt32LE(flags, 16);
  header.write('0807060504030201', 24, 'hex');
  header.write('0001020304050607', 40, 'hex');
  return Buffer.concat([header, body]);
}

// From Python's hmac and pycryptodome's CMAC and GCM
const vectors: [SigningAlgorithm, { command?: number; flags?: number }, string][] = [
  ['hmac-sha256', {}, '0e72488bff2f97d14dd52c547913bd92'],
  ['aes-cmac', {}, '9b2ff49cdf3cc6b24aa0099e4def81e5'],
  ['aes-gmac', {}, '651118290b0e1a7df9fcb42762cd3533'],
  ['aes-gmac', { flags: 8 }, '94975055e9fac6b8851e62f07897ce81'],
  ['aes-gmac', { flags: 8, command: 12 }, 'a7b8fe9152d02230c1ed768cf974f4b0'],
];

test.each(vectors)('%s %j', (algorithm, header, signature) => {
  const signer = createSigner({ algorithm, key });
  const whole = packet(header);
  whole.fill(0xee, 48, 64); // the old content must not matter
  signer.sign(whole);
  expect(whole.subarray(48, 64).toString('hex')).toBe(signature);

  const split = packet(header);
  const payload = Buffer.from(split.subarray(70));
  signer.sign(split.subarray(0, 70), payload.subarray(0, 33), payload.subarray(33));
  expect(split).toEqual(whole);

  const before = Buffer.from(whole);
  expect(signer.verify(whole)).toBe(true);
  expect(whole).toEqual(before);
});

test.each(['hmac-sha256', 'aes-cmac', 'aes-gmac'] as const)('%s refuses every flipped bit', (algorithm) => {
  const signer = createSigner({ algorithm, key });
  fc.assert(
    fc.property(fc.nat({ max: 163 }), fc.nat({ max: 7 }), (at, bit) => {
      const signed = packet();
      signer.sign(signed);
      signed[at]! ^= 1 << bit;
      const before = Buffer.from(signed);
      expect(signer.verify(signed)).toBe(false);
      expect(signed).toEqual(before);
    }),
  );
  expect(signer.verify(Buffer.alloc(63))).toBe(false);
});
