import { expect, test } from 'vitest';
import { deriveKeys } from './kdf.ts';
import type { KeyOptions } from './kdf.ts';

const hex = (text: string): Buffer => Buffer.from(text, 'hex');
const keys = (options: KeyOptions): (string | undefined)[] => {
  const { signingKey, encryptionKey, decryptionKey, applicationKey } = deriveKeys(options);
  return [signingKey, encryptionKey, decryptionKey, applicationKey].map((key) => key?.toString('hex'));
};

// The session and signing keys are those of Microsoft's articles on SMB 3.0 and 3.1.1 key derivation; the other keys
// were taken from the KBKDFHMAC of python-cryptography.
const session300 = hex('7cd451825d0450d235424e44ba6e78cc');
const session311 = hex('270e1ba896585eeb7af3472d3b4c75a7');
const preauthHash = hex(
  '0dd13628cc3ed218ef9df9772d436d0887ab9814bfae63a80aa845f36909db79' +
    '28622dddad522d9751640a459762c5a9d6bb084cbb3ce6bdadef5d5bce3c6c01',
);

test('3.0 and 3.0.2', () => {
  const expected = [
    '0b7e9c5cac36c0f6ea9ab275298cedce',
    'b0f0427f7ceb416d1d9dcc0cd4f99447',
    'fad27796665b313ebb578f388632b4f7',
    'bb23a4575aa26c721af525af15a87b4f',
  ];
  expect(keys({ dialect: 0x0300, sessionKey: session300, cipher: 'aes-128-ccm' })).toEqual(expected);
  expect(keys({ dialect: 0x0302, sessionKey: session300, cipher: 'aes-128-ccm' })).toEqual(expected);
});

test('3.1.1', () => {
  const options = { dialect: 0x0311, sessionKey: session311, preauthHash } as const;
  const signing = '73fe7a9a77bef0bde49c650d8ccb5f76';
  const application = '6d7ad7954e9ec61e907b4d473dc178ff';
  expect(keys({ ...options, cipher: 'aes-128-gcm' })).toEqual([
    signing,
    'e2af0dcefac68da71a0dfbd0d1350d74',
    '629bcbc54422a0f572b97f45989b6073',
    application,
  ]);
  expect(keys({ ...options, cipher: 'aes-256-gcm' })).toEqual([
    signing,
    '35952fed051bf2471af5f7acc63674b887a54b47af46959f7caff1ce537d7419',
    '049c27fd8a340262e32c643dea2ba507af7a4c085fd2505aeffcbdeae6d6d8ab',
    application,
  ]);
  expect(keys(options)).toEqual([signing, undefined, undefined, application]);
  expect(() => deriveKeys({ dialect: 0x0311, sessionKey: session311 })).toThrow(RangeError);
});

test('2.x signs with the session key, padded to 16 bytes', () => {
  const padded = '01020000000000000000000000000000';
  expect(keys({ dialect: 0x0210, sessionKey: hex('0102') })).toEqual([padded, undefined, undefined, padded]);
});
