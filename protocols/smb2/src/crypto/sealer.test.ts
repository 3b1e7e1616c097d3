import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { CipherName } from './kdf.ts';
import {
  createSealer,
  NonceExhaustedError,
  TRANSFORM_HEADER_SIZE,
  transformSessionId,
  UnsealError,
} from './sealer.ts';
import type { Sealer } from './sealer.ts';

const count = (length: number, from = 0): Buffer =>
  Buffer.from(Uint8Array.from({ length }, (_, i) => i + from));
const message = Buffer.from(Uint8Array.from({ length: 100 }, (_, i) => i * 7 + 3));
const sessionId = 0x1122334455667788n;
const ciphers: CipherName[] = ['aes-128-ccm', 'aes-128-gcm', 'aes-256-ccm', 'aes-256-gcm'];

function sealer(cipher: CipherName, firstNonce?: Buffer): Sealer {
  const key = count(cipher.startsWith('aes-256') ? 32 : 16);
  return createSealer({
    cipher,
    encryptionKey: key,
    decryptionKey: key,
    sessionId,
    ...(firstNonce && { firstNonce }),
  });
}

const frameOf = (plain: Buffer): Buffer => Buffer.concat([Buffer.alloc(TRANSFORM_HEADER_SIZE, 0xee), plain]);

// From pycryptodome, over the header's nonce, size, flags and session id
const sealed: Record<CipherName, string> = {
  'aes-128-ccm':
    'fd534d42199e7b97b17282768085226bd7610b800102030405060708090a0b0000000000640000000000010088776655' +
    '44332211c242f5c838e79b6c08a2f69dd53c867cf612ed1f4af3e57584cdc92f68fec8f41b3ac772de8616676d15d092' +
    '67f2dfce2639e36f2bdbceafe176b2283ca0ab4d7f65d6e7f0cfc4cff67549a59f623fc056eb1631789089b30a6e7805' +
    '41f3f99e5b77956d',
  'aes-128-gcm':
    'fd534d42f09a1e2d8dec18e99df54544f12bba610102030405060708090a0b0c00000000640000000000010088776655' +
    '44332211050f793e2cd372f1031e4415fa860859b2b166d5613771c8f61782972347b980268d60bf929530faf7635949' +
    'ebb1a93a54ca9ff41d0690a71ab129d990e65f7c02055641350161d3fa4bee7f9e5a822c3a393340c31154bbd0b2714f' +
    'd50c240eea058e2f',
  'aes-256-ccm':
    'fd534d42d156f993b78cb5bf9b9d30367ef99ca60102030405060708090a0b0000000000640000000000010088776655' +
    '44332211f6f82095c58f1763efe7cc2af9426cc9176bba382a6d1d3de28aef6131a1f7edeb26a44d2276687e9f3886b5' +
    '33a160b99fa115e7f5a387ff30b65c837a70d08d8732f7d29d5612e8cc02d2f5c44820de398976dfdbcb617cda159cfd' +
    'e3102fa0449a2e68',
  'aes-256-gcm':
    'fd534d4215ba4cf3eb3c30355cfac50beb77972a0102030405060708090a0b0c00000000640000000000010088776655' +
    '4433221106e04bcdf3b2ddb277e02a17474d8f443139607618fbcd610aed40e45978a319670e6a2791b3e18bab8e93d5' +
    'f2e5bd11cdac2e88bbef4bf5bdef956dc8af81b0b4b7dafb6017b014b010b96aec26268bee0a7160ad7fa3a411e4ef8b' +
    'a770b5bf346cddc5',
};

test.each(ciphers)('%s vector', (cipher) => {
  const nonce = count(cipher.endsWith('ccm') ? 11 : 12, 1);
  const frame = frameOf(message);
  sealer(cipher, nonce).seal(frame);
  expect(frame.toString('hex')).toBe(sealed[cipher]);

  const parts = [message.subarray(0, 20), message.subarray(20, 20), message.subarray(20)];
  const sent = Buffer.concat(sealer(cipher, nonce).sealParts(parts));
  expect(sent.toString('hex')).toBe(sealed[cipher]);

  expect(transformSessionId(frame)).toBe(sessionId);
  expect(sealer(cipher).unseal(frame)).toEqual(message);
});

test.each(ciphers)('%s of more than one slice', (cipher) => {
  const large = Buffer.alloc(300_001, 'large');
  const one = sealer(cipher);
  const frame = frameOf(large);
  one.seal(frame);
  expect(frame.includes('largelarge')).toBe(false);
  expect(one.unseal(frame).equals(large)).toBe(true);
  const sent = Buffer.concat(one.sealParts([large.subarray(0, 77), large.subarray(77)]));
  expect(one.unseal(sent).equals(large)).toBe(true);
  expect(large.equals(Buffer.alloc(300_001, 'large'))).toBe(true);
});

test.each(ciphers)('%s refuses every flipped bit, truncation and foreign session', (cipher) => {
  const one = sealer(cipher);
  fc.assert(
    fc.property(fc.nat({ max: TRANSFORM_HEADER_SIZE + 99 }), fc.nat({ max: 7 }), (at, bit) => {
      const [flipped, short] = [frameOf(message), frameOf(message)];
      one.seal(flipped);
      flipped[at]! ^= 1 << bit;
      one.seal(short);
      expect(() => one.unseal(flipped)).toThrow(UnsealError);
      expect(() => one.unseal(short.subarray(0, at))).toThrow(UnsealError);
    }),
  );
  expect(transformSessionId(Buffer.alloc(TRANSFORM_HEADER_SIZE))).toBeUndefined();
  expect(transformSessionId(Buffer.alloc(3))).toBeUndefined();
});

test('nonces differ, carry over and end', () => {
  const one = sealer('aes-128-gcm', Buffer.from('feffffffffffffffaabbccdd', 'hex'));
  const nonceOf = (): string => one.sealParts([message])[0]!.toString('hex', 20, 36);
  expect(nonceOf()).toBe('feffffffffffffffaabbccdd00000000');
  expect(nonceOf()).toBe('ffffffffffffffffaabbccdd00000000');
  expect(nonceOf).toThrow(NonceExhaustedError);
  expect(nonceOf).toThrow(NonceExhaustedError);

  const carrying = sealer('aes-128-ccm', Buffer.from('ffffffff00000000aabbcc', 'hex'));
  carrying.sealParts([message]);
  expect(carrying.sealParts([message])[0]!.toString('hex', 20, 36)).toBe('0000000001000000aabbcc0000000000');

  const random = new Set(
    ciphers.map((cipher) => sealer(cipher).sealParts([message])[0]!.toString('hex', 20, 36)),
  );
  expect(random.size).toBe(4);
});
