import { createCipheriv, createHmac, createSecretKey, timingSafeEqual } from 'node:crypto';
import { AesCmac } from './cmac.ts';

/** Connection.SigningAlgorithmId ([MS-SMB2] 2.2.3.1.7); HMAC-SHA256 is that of the 2.x dialects. */
export type SigningAlgorithm = 'hmac-sha256' | 'aes-cmac' | 'aes-gmac';

export interface Signer {
  /**
   * Writes the 16-byte signature into the header of a message, whose SMB2_FLAGS_SIGNED is already set.
   *
   * @param packet begins at the SMB2 header and holds all of it.
   * @param payload what follows `packet` in the same message; only read.
   */
  sign(packet: Buffer, ...payload: readonly Uint8Array[]): void;
  /** Whether the signature is right, told in constant time. The packet is left as it was. */
  verify(packet: Buffer): boolean;
}

export interface SignerOptions {
  readonly algorithm: SigningAlgorithm;
  /** 16 bytes: Session.SigningKey. */
  readonly key: Buffer;
}

/** The first 16 bytes of the code over a message whose signature field is zero. */
type Mac = (parts: readonly Uint8Array[]) => Buffer;

const HEADER_SIZE = 64;
const SIGNATURE_OFFSET = 48;
const SIGNATURE_END = 64;
const COMMAND_OFFSET = 12;
const FLAGS_OFFSET = 16;
const MESSAGE_ID_OFFSET = 24;
const SMB2_FLAGS_SERVER_TO_REDIR = 0x1;
const SMB2_CANCEL = 0x000c;

// Every key is a KeyObject: on Node 24 a raw key costs 10 microseconds more for each message.
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

/** AES-128-GMAC; the nonce is the MessageId and two bits, for the sender's role and for CANCEL ([MS-SMB2] 3.1.4.1). */
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

/** Signing of one session's messages ([MS-SMB2] 3.1.4.1); one signer for the life of the key. */
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
