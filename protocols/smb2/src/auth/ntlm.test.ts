import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Rc4 } from '../crypto/rc4.ts';
import { AuthError } from './errors.ts';
import { hmacMd5, ntowfV2, sealKey, signKey } from './ntlm-keys.ts';
import {
  AvId,
  decodeAuthenticate,
  decodeAvPairs,
  decodeNegotiate,
  decodeNtlmV2Response,
  encodeAvPairs,
  encodeChallenge,
} from './ntlm.ts';
import { ntHash } from './users.ts';

const hex = (...text: string[]): Buffer => Buffer.from(text.join('').replaceAll(' ', ''), 'hex');
const utf16 = (text: string): Buffer => Buffer.from(text, 'utf16le');

// [MS-NLMP] 4.2.4: User, Domain, Password, client challenge aa.., time 0
const serverChallenge = hex('0123456789abcdef');
const targetInfo = encodeAvPairs([
  [AvId.NB_DOMAIN_NAME, utf16('Domain')],
  [AvId.NB_COMPUTER_NAME, utf16('Server')],
]);
const blob = Buffer.concat([
  hex('01010000 00000000 0000000000000000 aaaaaaaaaaaaaaaa 00000000'),
  targetInfo,
  hex('00000000'),
]);
const proof = hex('68cd0ab851e51c96aabc927bebef6a1c');
const encryptedSessionKey = hex('c5dad2544fc9799094ce1ce90bc9d03e');
const exportedSessionKey = Buffer.alloc(16, 0x55);
const flags = 0xe28a8233;
const authenticateMessage = Buffer.concat([
  hex('4e544c4d53535000 03000000 18001800 6c000000 54005400 84000000 0c000c00 48000000 08000800 54000000'),
  hex('10001000 5c000000 10001000 d8000000 358288e2 0501280a 0000000f'),
  utf16('DomainUserCOMPUTER'),
  hex('86c35097ac9cec102554764a57cccc19 aaaaaaaaaaaaaaaa'),
  proof,
  blob,
  encryptedSessionKey,
]);

test('NTLMv2 keys and response', () => {
  const key = ntowfV2(ntHash('Password'), 'User', 'Domain');
  expect(key.toString('hex')).toBe('0c868a403bfd7a93a3001ef22ef02e3f');
  expect(hmacMd5(key, serverChallenge, blob)).toEqual(proof);
  const sessionBaseKey = hmacMd5(key, proof);
  expect(sessionBaseKey.toString('hex')).toBe('8de40ccadbc14a82f15cb0ad0de95ca3');
  expect(new Rc4(sessionBaseKey).update(encryptedSessionKey)).toEqual(exportedSessionKey);
});

test('sealing of "Plaintext"', () => {
  const sealing = sealKey(exportedSessionKey, 'client-to-server', flags);
  const signing = signKey(exportedSessionKey, 'client-to-server');
  expect(sealing.toString('hex')).toBe('59f600973cc4960a25480a7c196e4c58');
  expect(signing.toString('hex')).toBe('4788dc861b4782f35d43fd98fe1a2d39');
  const rc4 = new Rc4(sealing);
  const plaintext = utf16('Plaintext');
  expect(rc4.update(plaintext).toString('hex')).toBe('54e50165bf1936dc996020c1811b0f06fb5f');
  const code = hmacMd5(signing, Buffer.alloc(4), plaintext).subarray(0, 8);
  expect(rc4.update(code).toString('hex')).toBe('7fb38ec5c55d4976');
});

test('CHALLENGE_MESSAGE', () => {
  const message = encodeChallenge({ flags, serverChallenge, targetName: 'Server', targetInfo });
  const expected = Buffer.concat([
    hex('4e544c4d53535000 02000000 0c000c00 38000000 33828ae2 0123456789abcdef 0000000000000000'),
    hex('24002400 44000000 060100000000000f'), // the specification's example has version 6.0.6000
    utf16('Server'),
    hex('02000c00 44006f006d00610069006e00 01000c00 530065007200760065007200 00000000'),
  ]);
  expect(message).toEqual(expected);
});

test('AUTHENTICATE_MESSAGE', () => {
  const decoded = decodeAuthenticate(authenticateMessage);
  expect(decoded).toEqual({
    lmResponse: hex('86c35097ac9cec102554764a57cccc19aaaaaaaaaaaaaaaa'),
    ntResponse: Buffer.concat([proof, blob]),
    domain: 'Domain',
    userName: 'User',
    workstation: 'COMPUTER',
    encryptedSessionKey,
    flags: 0xe2888235,
  });
  const response = decodeNtlmV2Response(decoded.ntResponse)!;
  expect(response.proof).toEqual(proof);
  expect(response.blob).toEqual(blob);
  expect([...response.avPairs.keys()]).toEqual([AvId.NB_DOMAIN_NAME, AvId.NB_COMPUTER_NAME]);
});

test('NEGOTIATE_MESSAGE with and without its optional fields', () => {
  expect(decodeNegotiate(hex('4e544c4d53535000 01000000 358288e0'))).toBe(0xe0888235);
  expect(decodeNegotiate(hex('4e544c4d53535000 01000000 358288e0 ffffffffffffffff ffffffffffffffff'))).toBe(
    0xe0888235,
  );
  expect(() => decodeNegotiate(hex('4e544c4d53535000 01000000 358288'))).toThrow(AuthError);
  expect(() => decodeNegotiate(hex('4e544c4d53535000 03000000 358288e0'))).toThrow(AuthError);
});

test('fields that lie about length or offset are refused, wherever they point', () => {
  const number = fc.oneof(
    fc.constantFrom(0, 1, 63, 64, 231, 232, 0xffff, 0x7fffffff, 0xfffffff0, 0xffffffff),
    fc.nat(),
  );
  fc.assert(
    fc.property(fc.constantFrom(12, 20, 28, 36, 44, 52), number, number, (at, length, offset) => {
      const message = Buffer.from(authenticateMessage);
      message.writeUInt16LE(length & 0xffff, at);
      message.writeUInt32LE(offset >>> 0, at + 4);
      const fits = (length & 0xffff) === 0 || (offset >= 64 && offset + (length & 0xffff) <= message.length);
      if (!fits) expect(() => decodeAuthenticate(message)).toThrow(AuthError);
      else if (at < 28 || at > 44) decodeAuthenticate(message);
    }),
    { numRuns: 500 },
  );
});

test('truncated messages are refused', () => {
  for (let length = 0; length < authenticateMessage.length; length++) {
    expect(() => decodeAuthenticate(authenticateMessage.subarray(0, length))).toThrow(AuthError);
  }
});

test('a list of AV pairs cut short gives those that are whole', () => {
  const list = encodeAvPairs([
    [AvId.NB_DOMAIN_NAME, utf16('Domain')],
    [AvId.FLAGS, hex('02000000')],
  ]);
  expect(decodeAvPairs(list).isEnded).toBe(true);
  expect([...decodeAvPairs(list).avPairs.keys()]).toEqual([2, 6]);
  expect(decodeAvPairs(list.subarray(0, -5)).isEnded).toBe(false);
  expect([...decodeAvPairs(list.subarray(0, -5)).avPairs.keys()]).toEqual([2]);
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 64 }),
      (bytes) => decodeAvPairs(Buffer.from(bytes)).avPairs.size <= 16,
    ),
  );
});

test.each([0, 16, 24, 43])('a response of %d bytes is not NTLMv2', (length) => {
  expect(decodeNtlmV2Response(Buffer.alloc(length, 1))).toBeUndefined();
  expect(decodeNtlmV2Response(Buffer.alloc(64))).toBeUndefined();
});
