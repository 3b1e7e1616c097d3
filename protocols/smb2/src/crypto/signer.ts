import { createCipheriv, createHmac, createSecretKey, timingSafeEqual } from 'node:crypto';
import { AesCmac } from './cmac.ts';

/** Connection.SigningAlgorithmId ([MS-SMB2] 2.2.3.1.7). The 2.x dialects use HMAC-SHA256. */
export type SigningAlgorithm = 'hmac-sha256' | 'aes-cmac' | 'aes-gmac';

export interface Signer {
  /**
   * Writes the 16-byte signature into the header of a message. SMB2_FLAGS_SIGNED must be set already.
   *
   * @param packet begins with the whole SMB2 header.
   * @param payload the rest of the message; only read.
   */
  sign(packet: Buffer, ...payload: readonly Uint8Array[]): void;
  /** Whether the signature is right; compares in constant time. Leaves the packet as it was. */
  verify(packet: Buffer): boolean;
}

export interface SignerOptions {
  readonly algorithm: SigningAlgorithm;
  /** 16 bytes: Session.SigningKey. */
  readonly key: Buffer;
}

/** Computes the first 16 bytes of the MAC of a message whose signature field is zero. */
type Mac = (parts: readonly Uint8Array[]) => Buffer;

const HEADER_SIZE = 64;
const SIGNATURE_OFFSET = 48;
const SIGNATURE_END = 64;
const COMMAND_OFFSET = 12;
const FLAGS_OFFSET = 16;
const MESSAGE_ID_OFFSET = 24;
const SMB2_FLAGS_SERVER_TO_REDIR = 0x1;
const SMB2_CANCEL = 0x000c;

// Keys are KeyObjects: on Node 24 a raw key costs 10 microseconds more for each message.
function hmacSha256(key: Buffer): Mac {
  const keyObject = createSecretKey(key);
  return (parts) => {
    const hmac = createHmac('sha256', keyObject);
    for (const part of parts) hmac.update(part);
    return hmac.digest().subarray(0, 16);
  };
}

function aesCmac(key: Buffer): Mac {
  const cmac = new AesCmac(key);
  return (parts) => cmac.digest(...parts);
}

/** AES-128-GMAC. The nonce is the MessageId, one bit for the sender's role and one for CANCEL ([MS-SMB2] 3.1.4.1). */
function aesGmac(key: Buffer): Mac {
  const keyObject = createSecretKey(key);
  const nonce = Buffer.alloc(12);
  return (parts) => {
    const header = parts[0] as Buffer;
    const isServer = header.readUInt32LE(FLAGS_OFFSET) & SMB2_FLAGS_SERVER_TO_REDIR;
    const isCancel = !isServer && header.readUInt16LE(COMMAND_OFFSET) === SMB2_CANCEL;
    header.copy(nonce, 0, MESSAGE_ID_OFFSET, MESSAGE_ID_OFFSET + 8);
    nonce.writeUInt32LE(isServer | (isCancel ? 2 : 0), 8);
    const cipher = createCipheriv('aes-128-gcm', keyObject, nonce);
    for (const part of parts) cipher.setAAD(part);
    cipher.final();
    return cipher.getAuthTag();
  };
}

const macs: Readonly<Record<SigningAlgorithm, (key: Buffer) => Mac>> = {
  'hmac-sha256': hmacSha256,
  'aes-cmac': aesCmac,
  'aes-gmac': aesGmac,
};

/** Signs the messages of one session ([MS-SMB2] 3.1.4.1). Use one signer for the life of the key. */
export function createSigner(options: SignerOptions): Signer {
  const mac = macs[options.algorithm](options.key);
  return {
    sign(packet, ...payload) {
      packet.fill(0, SIGNATURE_OFFSET, SIGNATURE_END);
      mac([packet, ...payload]).copy(packet, SIGNATURE_OFFSET);
    },
    verify(packet) {
      if (packet.length < HEADER_SIZE) return false;
      const claimed = Buffer.from(packet.subarray(SIGNATURE_OFFSET, SIGNATURE_END));
      packet.fill(0, SIGNATURE_OFFSET, SIGNATURE_END);
      const expected = mac([packet]);
      claimed.copy(packet, SIGNATURE_OFFSET);
      return timingSafeEqual(claimed, expected);
    },
  };
}
