/** NTLMSSP messages ([MS-NLMP] 2.2), as a server needs them: Unicode only. */
import { malformed } from './errors.ts';

/** NEGOTIATE flags ([MS-NLMP] 2.2.2.5). */
export const NtlmFlag = {
  UNICODE: 0x00000001,
  REQUEST_TARGET: 0x00000004,
  SIGN: 0x00000010,
  SEAL: 0x00000020,
  NTLM: 0x00000200,
  ANONYMOUS: 0x00000800,
  ALWAYS_SIGN: 0x00008000,
  TARGET_TYPE_SERVER: 0x00020000,
  EXTENDED_SESSIONSECURITY: 0x00080000,
  TARGET_INFO: 0x00800000,
  VERSION: 0x02000000,
  KEY_128: 0x20000000,
  KEY_EXCH: 0x40000000,
  KEY_56: 0x80000000,
} as const;

/** AvId of an AV_PAIR ([MS-NLMP] 2.2.2.1). */
export const AvId = {
  EOL: 0,
  NB_COMPUTER_NAME: 1,
  NB_DOMAIN_NAME: 2,
  DNS_COMPUTER_NAME: 3,
  DNS_DOMAIN_NAME: 4,
  FLAGS: 6,
  TIMESTAMP: 7,
  TARGET_NAME: 9,
} as const;

/** MsvAvFlags: the AUTHENTICATE message has a MIC. */
export const AV_FLAG_MIC = 0x2;

export const NTLM_MESSAGE = { NEGOTIATE: 1, CHALLENGE: 2, AUTHENTICATE: 3 } as const;

export const MIC_OFFSET = 72;
export const MIC_END = 88;

const SIGNATURE = Buffer.from('NTLMSSP\0', 'latin1');
const CHALLENGE_HEADER_SIZE = 56;
const AUTHENTICATE_HEADER_SIZE = 64;
/** Longest name, in bytes: 256 UTF-16 code units. No user has a longer one. */
const MAX_NAME_BYTES = 512;
/** Longest NEGOTIATE_MESSAGE, in bytes. It is kept for the MIC before the client is known; real ones are below 100 bytes. */
const MAX_NEGOTIATE_SIZE = 1024;
/** VERSION ([MS-NLMP] 2.2.2.10): only the NTLMSSP revision, 15, has a meaning. */
const VERSION = Buffer.from('060100000000000f', 'hex');

/** Returns the MessageType of an NTLMSSP message; undefined when the token is none. */
export function ntlmMessageType(token: Buffer): number | undefined {
  if (token.length < 12 || !token.subarray(0, 8).equals(SIGNATURE)) return undefined;
  return token.readUInt32LE(8);
}

/** Returns NegotiateFlags of a NEGOTIATE_MESSAGE ([MS-NLMP] 2.2.1.1). A server needs no other field of it. */
export function decodeNegotiate(message: Buffer): number {
  if (ntlmMessageType(message) !== NTLM_MESSAGE.NEGOTIATE || message.length < 16) {
    throw malformed('not an NTLM NEGOTIATE_MESSAGE');
  }
  if (message.length > MAX_NEGOTIATE_SIZE) throw malformed('NTLM NEGOTIATE_MESSAGE is too long');
  return message.readUInt32LE(12);
}

export interface Challenge {
  readonly flags: number;
  /** 8 bytes. */
  readonly serverChallenge: Buffer;
  readonly targetName: string;
  readonly targetInfo: Buffer;
}

/** CHALLENGE_MESSAGE ([MS-NLMP] 2.2.1.2). */
export function encodeChallenge({ flags, serverChallenge, targetName, targetInfo }: Challenge): Buffer {
  const name = Buffer.from(targetName, 'utf16le');
  const header = Buffer.alloc(CHALLENGE_HEADER_SIZE);
  SIGNATURE.copy(header);
  header.writeUInt32LE(NTLM_MESSAGE.CHALLENGE, 8);
  writeField(header, 12, name.length, CHALLENGE_HEADER_SIZE);
  header.writeUInt32LE(flags >>> 0, 20);
  serverChallenge.copy(header, 24);
  writeField(header, 40, targetInfo.length, CHALLENGE_HEADER_SIZE + name.length);
  if (flags & NtlmFlag.VERSION) VERSION.copy(header, 48);
  return Buffer.concat([header, name, targetInfo]);
}

function writeField(header: Buffer, at: number, length: number, offset: number): void {
  header.writeUInt16LE(length, at);
  header.writeUInt16LE(length, at + 2);
  header.writeUInt32LE(offset, at + 4);
}

export interface Authenticate {
  readonly lmResponse: Buffer;
  readonly ntResponse: Buffer;
  readonly domain: string;
  readonly userName: string;
  readonly workstation: string;
  readonly encryptedSessionKey: Buffer;
  readonly flags: number;
}

/** AUTHENTICATE_MESSAGE ([MS-NLMP] 2.2.1.3). The buffers are views of `message`. */
export function decodeAuthenticate(message: Buffer): Authenticate {
  if (ntlmMessageType(message) !== NTLM_MESSAGE.AUTHENTICATE || message.length < AUTHENTICATE_HEADER_SIZE) {
    throw malformed('not an NTLM AUTHENTICATE_MESSAGE');
  }
  return {
    lmResponse: field(message, 12),
    ntResponse: field(message, 20),
    domain: text(field(message, 28)),
    userName: text(field(message, 36)),
    workstation: text(field(message, 44)),
    encryptedSessionKey: field(message, 52),
    flags: message.readUInt32LE(60),
  };
}

function field(message: Buffer, at: number): Buffer {
  const length = message.readUInt16LE(at);
  if (length === 0) return Buffer.alloc(0);
  const offset = message.readUInt32LE(at + 4);
  if (offset < AUTHENTICATE_HEADER_SIZE || offset + length > message.length) {
    throw malformed('field of an NTLM AUTHENTICATE_MESSAGE lies outside of it');
  }
  return message.subarray(offset, offset + length);
}

function text(bytes: Buffer): string {
  if (bytes.length % 2 !== 0 || bytes.length > MAX_NAME_BYTES)
    throw malformed('name in an NTLM message is odd');
  return bytes.toString('utf16le');
}

/** A list of AV_PAIRs, ended by MsvAvEOL. */
export function encodeAvPairs(pairs: readonly (readonly [id: number, value: Buffer])[]): Buffer {
  const parts: Buffer[] = [];
  for (const [id, value] of [...pairs, [AvId.EOL, Buffer.alloc(0)] as const]) {
    const head = Buffer.alloc(4);
    head.writeUInt16LE(id, 0);
    head.writeUInt16LE(value.length, 2);
    parts.push(head, value);
  }
  return Buffer.concat(parts);
}

/**
 * The AV_PAIRs at the start of `bytes`; of equal ids the first. A pair that does not fit ends the list, since some
 * clients cut the list short (Samba bug 14932). The list is only the client's claim, covered by its proof.
 */
export function decodeAvPairs(bytes: Buffer): Pick<NtlmV2Response, 'avPairs' | 'isEnded'> {
  const avPairs = new Map<number, Buffer>();
  for (let at = 0; at + 4 <= bytes.length;) {
    const id = bytes.readUInt16LE(at);
    const end = at + 4 + bytes.readUInt16LE(at + 2);
    if (id === AvId.EOL) return { avPairs, isEnded: true };
    if (end > bytes.length) break;
    if (!avPairs.has(id)) avPairs.set(id, bytes.subarray(at + 4, end));
    at = end;
  }
  return { avPairs, isEnded: false };
}

export interface NtlmV2Response {
  /** NTProofStr: 16 bytes. */
  readonly proof: Buffer;
  /** NTLMv2_CLIENT_CHALLENGE and the bytes after it. The proof is the HMAC of the server's challenge and this. */
  readonly blob: Buffer;
  readonly avPairs: Map<number, Buffer>;
  /** Whether MsvAvEOL ends the list, as it must. */
  readonly isEnded: boolean;
}

/** Decodes an NTLMv2_RESPONSE ([MS-NLMP] 2.2.2.8). Returns undefined for any other kind, such as NTLMv1 with its 24 bytes. */
export function decodeNtlmV2Response(response: Buffer): NtlmV2Response | undefined {
  const blob = response.subarray(16);
  if (blob.length < 28 || blob[0] !== 1 || blob[1] !== 1) return undefined;
  return { proof: response.subarray(0, 16), blob, ...decodeAvPairs(blob.subarray(28)) };
}
