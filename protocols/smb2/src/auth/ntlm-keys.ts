/** Keys and codes of NTLMv2 ([MS-NLMP] 3.3.2, 3.4). */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { Rc4 } from '../crypto/rc4.ts';
import { MIC_END, MIC_OFFSET, NtlmFlag } from './ntlm.ts';
import { upperCase } from './users.ts';

export function hmacMd5(key: Buffer, ...parts: readonly Uint8Array[]): Buffer {
  const hmac = createHmac('md5', key);
  for (const part of parts) hmac.update(part);
  return hmac.digest();
}

const md5 = (...parts: readonly Uint8Array[]): Buffer =>
  createHash('md5').update(Buffer.concat(parts)).digest();

/** NTOWFv2 ([MS-NLMP] 3.3.2). The user name is in upper case; the domain is as the client sent it. */
export function ntowfV2(ntHash: Buffer, userName: string, domain: string): Buffer {
  return hmacMd5(ntHash, Buffer.from(upperCase(userName) + domain, 'utf16le'));
}

export type Direction = 'client-to-server' | 'server-to-client';

/** SIGNKEY ([MS-NLMP] 3.4.5.2), with extended session security. */
export function signKey(exportedSessionKey: Buffer, direction: Direction): Buffer {
  return md5(exportedSessionKey, Buffer.from(`session key to ${direction} signing key magic constant\0`));
}

/** SEALKEY ([MS-NLMP] 3.4.5.3), with extended session security. */
export function sealKey(exportedSessionKey: Buffer, direction: Direction, flags: number): Buffer {
  const length = flags & NtlmFlag.KEY_128 ? 16 : flags & NtlmFlag.KEY_56 ? 7 : 5;
  return md5(
    exportedSessionKey.subarray(0, length),
    Buffer.from(`session key to ${direction} sealing key magic constant\0`),
  );
}

/**
 * The first message signature of a direction ([MS-NLMP] 3.4.4.2, sequence number 0), which is SPNEGO's mechListMIC. SMB
 * signs later messages with its own keys.
 */
export function firstMac(
  exportedSessionKey: Buffer,
  direction: Direction,
  flags: number,
  message: Buffer,
): Buffer {
  const sequence = Buffer.alloc(4);
  const code = hmacMd5(signKey(exportedSessionKey, direction), sequence, message).subarray(0, 8);
  const checksum =
    flags & NtlmFlag.KEY_EXCH ? new Rc4(sealKey(exportedSessionKey, direction, flags)).update(code) : code;
  return Buffer.concat([Uint8Array.of(1, 0, 0, 0), checksum, sequence]);
}

/** Whether the MIC of an AUTHENTICATE_MESSAGE covers all three messages ([MS-NLMP] 3.1.5.1.2). */
export function isMicRight(
  exportedSessionKey: Buffer,
  negotiate: Buffer,
  challenge: Buffer,
  authenticate: Buffer,
): boolean {
  if (authenticate.length < MIC_END) return false;
  const expected = hmacMd5(
    exportedSessionKey,
    negotiate,
    challenge,
    authenticate.subarray(0, MIC_OFFSET),
    Buffer.alloc(MIC_END - MIC_OFFSET),
    authenticate.subarray(MIC_END),
  );
  return timingSafeEqual(expected, authenticate.subarray(MIC_OFFSET, MIC_END));
}
