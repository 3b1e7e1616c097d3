import { createHmac } from 'node:crypto';
import type { Dialect } from '../wire/constants.ts';

/** Connection.CipherId by its OpenSSL name ([MS-SMB2] 2.2.3.1.2). */
export type CipherName = 'aes-128-ccm' | 'aes-128-gcm' | 'aes-256-ccm' | 'aes-256-gcm';

export interface KeyOptions {
  readonly dialect: Dialect;
  /** Session key from the authentication. Padded with zeros to 16 bytes ([MS-SMB2] 3.3.5.5.3). */
  readonly sessionKey: Buffer;
  /** Session.PreauthIntegrityHashValue, 64 bytes. Used by dialect 3.1.1 only, which needs it. */
  readonly preauthHash?: Buffer | undefined;
  /** Without a cipher there are no encryption keys. Dialects 3.0 and 3.0.2 have AES-128-CCM only. */
  readonly cipher?: CipherName | undefined;
}

export interface SessionKeys {
  readonly signingKey: Buffer;
  /** Server to client. */
  readonly encryptionKey: Buffer | undefined;
  /** Client to server. */
  readonly decryptionKey: Buffer | undefined;
  readonly applicationKey: Buffer;
}

/**
 * SP800-108 in counter mode with HMAC-SHA256, r = 32 ([MS-SMB2] 3.1.4.2). One block is long enough for both key
 * lengths.
 *
 * @param label ends with a NUL.
 */
export function counterKdf(key: Buffer, label: string, context: Buffer, bits: 128 | 256): Buffer {
  const message = Buffer.alloc(4 + label.length + 1 + context.length + 4);
  message.writeUInt32BE(1, 0);
  message.write(label, 4, 'latin1');
  context.copy(message, 4 + label.length + 1);
  message.writeUInt32BE(bits, message.length - 4);
  return createHmac('sha256', key)
    .update(message)
    .digest()
    .subarray(0, bits / 8);
}

const text = (value: string): Buffer => Buffer.from(value, 'latin1');

/** The four keys of a session ([MS-SMB2] 3.3.5.5.3). The 2.x dialects sign with the session key itself. */
export function deriveKeys(options: KeyOptions): SessionKeys {
  const { dialect, preauthHash, cipher } = options;
  const sessionKey = Buffer.alloc(16);
  options.sessionKey.copy(sessionKey);
  if (dialect < 0x0300) {
    return {
      signingKey: sessionKey,
      encryptionKey: undefined,
      decryptionKey: undefined,
      applicationKey: sessionKey,
    };
  }
  if (dialect < 0x0311) {
    const derive = (label: string, context: string): Buffer =>
      counterKdf(sessionKey, label, text(context), 128);
    return {
      signingKey: derive('SMB2AESCMAC\0', 'SmbSign\0'),
      encryptionKey: cipher && derive('SMB2AESCCM\0', 'ServerOut\0'),
      decryptionKey: cipher && derive('SMB2AESCCM\0', 'ServerIn \0'),
      applicationKey: derive('SMB2APP\0', 'SmbRpc\0'),
    };
  }
  if (preauthHash?.length !== 64)
    throw new RangeError('dialect 3.1.1 needs a 64-byte preauthentication hash');
  const bits = cipher?.startsWith('aes-256') === true ? 256 : 128;
  // Session.FullSessionKey for the 256-bit ciphers ([MS-SMB2] 3.3.5.5.3). With NTLM it has 16 bytes.
  const fullKey = bits === 256 && options.sessionKey.length > 16 ? options.sessionKey : sessionKey;
  return {
    signingKey: counterKdf(sessionKey, 'SMBSigningKey\0', preauthHash, 128),
    encryptionKey: cipher && counterKdf(fullKey, 'SMBS2CCipherKey\0', preauthHash, bits),
    decryptionKey: cipher && counterKdf(fullKey, 'SMBC2SCipherKey\0', preauthHash, bits),
    applicationKey: counterKdf(sessionKey, 'SMBAppKey\0', preauthHash, 128),
  };
}
