/** The client's half of NTLMv2 ([MS-NLMP] 3.1.5), for tests. */
import { hmacMd5, ntowfV2 } from '../auth/ntlm-keys.ts';
import { AvId, decodeAvPairs, encodeAvPairs, MIC_END, MIC_OFFSET, NtlmFlag } from '../auth/ntlm.ts';
import { ntHash } from '../auth/users.ts';
import { Rc4 } from '../crypto/rc4.ts';

export const CLIENT_FLAGS =
  NtlmFlag.UNICODE |
  NtlmFlag.NTLM |
  NtlmFlag.SIGN |
  NtlmFlag.SEAL |
  NtlmFlag.EXTENDED_SESSIONSECURITY |
  NtlmFlag.KEY_128 |
  NtlmFlag.KEY_EXCH;

export interface NtlmClient {
  readonly userName: string;
  readonly password: string;
  readonly flags?: number;
  /** Replaces the correct response. */
  readonly ntResponse?: Buffer;
  readonly lmResponse?: Buffer;
  /** Replaces or adds AV pairs of the target information. */
  readonly avPairs?: readonly (readonly [number, Buffer])[];
  readonly withMic?: boolean;
}

const utf16 = (text: string): Buffer => Buffer.from(text, 'utf16le');

export function negotiateMessage(flags = CLIENT_FLAGS): Buffer {
  const message = Buffer.alloc(32);
  message.write('NTLMSSP\0\u0001', 'latin1');
  message.writeUInt32LE(flags >>> 0, 12);
  return message;
}

/** The AUTHENTICATE_MESSAGE for a CHALLENGE_MESSAGE, and the key that the client exported. */
export function authenticateMessage(challenge: Buffer, client: NtlmClient): { message: Buffer; key: Buffer } {
  const { userName, password, flags = CLIENT_FLAGS, withMic = false } = client;
  const targetInfo = challenge.subarray(challenge.readUInt32LE(44));
  const pairs = decodeAvPairs(targetInfo).avPairs;
  if (withMic) pairs.set(AvId.FLAGS, Buffer.from('02000000', 'hex'));
  for (const [id, value] of client.avPairs ?? []) pairs.set(id, value);
  const blob = Buffer.concat([
    Buffer.from('01010000000000000000000000000000aaaaaaaaaaaaaaaa00000000', 'hex'),
    encodeAvPairs([...pairs]),
    Buffer.alloc(4),
  ]);
  const base = ntowfV2(ntHash(password), userName, 'WORKGROUP');
  const proof = hmacMd5(base, challenge.subarray(24, 32), blob);
  const sessionBaseKey = hmacMd5(base, proof);
  const exchanged = (flags & NtlmFlag.KEY_EXCH) !== 0;
  const key = exchanged ? Buffer.alloc(16, 0x77) : sessionBaseKey;

  const header = Buffer.alloc(MIC_END);
  header.write('NTLMSSP\0\u0003', 'latin1');
  header.writeUInt32LE(flags >>> 0, 60);
  const payload = [
    client.lmResponse ?? Buffer.alloc(0),
    client.ntResponse ?? Buffer.concat([proof, blob]),
    utf16('WORKGROUP'),
    utf16(userName),
    utf16('CLIENT'),
    exchanged ? new Rc4(sessionBaseKey).update(key) : Buffer.alloc(0),
  ];
  let offset = MIC_END;
  for (const [i, value] of payload.entries()) {
    header.writeUInt16LE(value.length, 12 + 8 * i);
    header.writeUInt32LE(offset, 16 + 8 * i);
    offset += value.length;
  }
  const message = Buffer.concat([header, ...payload]);
  if (withMic) hmacMd5(key, negotiateMessage(flags), challenge, message).copy(message, MIC_OFFSET);
  return { message, key };
}

/** An anonymous AUTHENTICATE_MESSAGE ([MS-NLMP] 3.2.5.1.2). */
export function anonymousMessage(): Buffer {
  const message = Buffer.alloc(72);
  message.write('NTLMSSP\0', 'latin1');
  message.writeUInt32LE(3, 8);
  for (const field of [12, 20, 28, 36, 44, 52]) message.writeUInt32LE(72, field + 4);
  message.writeUInt32LE(0x00080205, 60);
  return message;
}
