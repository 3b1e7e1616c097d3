import { createCipheriv, createDecipheriv, createSecretKey, randomBytes } from 'node:crypto';
import type { CipherCCM, CipherGCM, DecipherCCM, DecipherGCM, KeyObject } from 'node:crypto';
import type { CipherName } from './kdf.ts';

/** Size of the SMB2 TRANSFORM_HEADER ([MS-SMB2] 2.2.41). */
export const TRANSFORM_HEADER_SIZE = 52;

const PROTOCOL_ID = 0x424d53fd;
const SIGNATURE_OFFSET = 4;
const NONCE_OFFSET = 20;
const ORIGINAL_SIZE_OFFSET = 36;
const FLAGS_OFFSET = 42;
const SESSION_ID_OFFSET = 44;
const FLAG_ENCRYPTED = 0x0001;
const TAG_LENGTH = 16;
/** In bytes. Outputs of larger updates do not fit into the CPU's cache. */
const SLICE = 64 * 1024;

/** A sealed message is malformed, or was not sealed with the key of its session. Do not use any of it. */
export class UnsealError extends Error {
  override readonly name = 'UnsealError';
}

/** The session has used all its nonces. It must not send another sealed message. */
export class NonceExhaustedError extends Error {
  override readonly name = 'NonceExhaustedError';

  constructor() {
    super('no nonce is left for this session key');
  }
}

export interface Sealer {
  /**
   * Encrypts in place.
   *
   * @param frame 52 bytes for the TRANSFORM_HEADER, which this fills in, then the message.
   */
  seal(frame: Buffer): void;
  /**
   * Encrypts a message that must not be changed or is in several buffers.
   *
   * @returns the buffers to send in this order. The first is the TRANSFORM_HEADER.
   */
  sealParts(message: readonly Uint8Array[]): Buffer[];
  /**
   * Decrypts a frame that begins with a TRANSFORM_HEADER. May decrypt in place.
   *
   * @returns the message: a view of `frame` or a new buffer.
   * @throws UnsealError. The content of `frame` is undefined then.
   */
  unseal(frame: Buffer): Buffer;
}

export interface SealerOptions {
  readonly cipher: CipherName;
  /** Session.EncryptionKey: server to client. */
  readonly encryptionKey: Buffer;
  /** Session.DecryptionKey: client to server. */
  readonly decryptionKey: Buffer;
  readonly sessionId: bigint;
  /** The first nonce (11 bytes for CCM, 12 for GCM). Default: random. */
  readonly firstNonce?: Buffer;
}

/** SessionId in the TRANSFORM_HEADER of a frame; undefined if it has none ([MS-SMB2] 3.3.5.2.1.1). */
export function transformSessionId(frame: Buffer): bigint | undefined {
  if (frame.length < TRANSFORM_HEADER_SIZE || frame.readUInt32LE(0) !== PROTOCOL_ID) return undefined;
  return frame.readBigUInt64LE(SESSION_ID_OFFSET);
}

/** A random part and a 64-bit counter with a random start. No nonce is used twice; the counter does not wrap around. */
class Nonces {
  readonly #nonce: Buffer;
  #low: number;
  #high: number;
  #exhausted = false;

  constructor(first: Buffer) {
    this.#nonce = Buffer.from(first);
    this.#low = first.readUInt32LE(0);
    this.#high = first.readUInt32LE(4);
  }

  static random(length: number): Nonces {
    const first = randomBytes(length);
    first[7]! &= 0x7f; // leaves 2^63 messages
    return new Nonces(first);
  }

  /** Valid until the next call. */
  next(): Buffer {
    if (this.#exhausted) throw new NonceExhaustedError();
    this.#nonce.writeUInt32LE(this.#low, 0);
    this.#nonce.writeUInt32LE(this.#high, 4);
    this.#low = (this.#low + 1) >>> 0;
    if (this.#low === 0) {
      this.#high = (this.#high + 1) >>> 0;
      this.#exhausted = this.#high === 0;
    }
    return this.#nonce;
  }
}

/** The algorithm for both directions. CCM needs the whole message in one update; GCM takes slices. */
interface Algorithm {
  readonly nonceLength: number;
  encrypt(key: KeyObject, header: Buffer, parts: readonly Uint8Array[]): Buffer[];
  decrypt(key: KeyObject, header: Buffer, sealed: Buffer): Buffer;
}

const additionalData = (header: Buffer): Buffer => header.subarray(NONCE_OFFSET, TRANSFORM_HEADER_SIZE);

function ccm(name: 'aes-128-ccm' | 'aes-256-ccm'): Algorithm {
  const options = { authTagLength: TAG_LENGTH };
  const prepare = <T extends CipherCCM | DecipherCCM>(
    cipher: T,
    header: Buffer,
    plaintextLength: number,
  ): T => {
    cipher.setAAD(additionalData(header), { plaintextLength });
    return cipher;
  };
  const nonce = (header: Buffer): Buffer => header.subarray(NONCE_OFFSET, NONCE_OFFSET + 11);
  return {
    nonceLength: 11,
    encrypt(key, header, parts) {
      const message = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
      const cipher = prepare(createCipheriv(name, key, nonce(header), options), header, message.length);
      const output = cipher.update(message);
      cipher.final();
      cipher.getAuthTag().copy(header, SIGNATURE_OFFSET);
      return [output];
    },
    decrypt(key, header, sealed) {
      const decipher = createDecipheriv(name, key, nonce(header), options);
      decipher.setAuthTag(header.subarray(SIGNATURE_OFFSET, NONCE_OFFSET));
      const output = prepare(decipher, header, sealed.length).update(sealed);
      decipher.final();
      return output;
    },
  };
}

function gcm(name: 'aes-128-gcm' | 'aes-256-gcm'): Algorithm {
  const options = { authTagLength: TAG_LENGTH };
  const prepare = <T extends CipherGCM | DecipherGCM>(cipher: T, header: Buffer): T => {
    cipher.setAAD(additionalData(header));
    return cipher;
  };
  const nonce = (header: Buffer): Buffer => header.subarray(NONCE_OFFSET, NONCE_OFFSET + 12);
  return {
    nonceLength: 12,
    encrypt(key, header, parts) {
      const cipher = prepare(createCipheriv(name, key, nonce(header), options), header);
      const output: Buffer[] = [];
      for (const part of parts) {
        for (let at = 0; at < part.length; at += SLICE)
          output.push(cipher.update(part.subarray(at, at + SLICE)));
      }
      cipher.final();
      cipher.getAuthTag().copy(header, SIGNATURE_OFFSET);
      return output;
    },
    decrypt(key, header, sealed) {
      const decipher = prepare(createDecipheriv(name, key, nonce(header), options), header);
      decipher.setAuthTag(header.subarray(SIGNATURE_OFFSET, NONCE_OFFSET));
      for (let at = 0; at < sealed.length; at += SLICE) {
        decipher.update(sealed.subarray(at, at + SLICE)).copy(sealed, at);
      }
      decipher.final();
      return sealed;
    },
  };
}

const algorithms: Readonly<Record<CipherName, Algorithm>> = {
  'aes-128-ccm': ccm('aes-128-ccm'),
  'aes-128-gcm': gcm('aes-128-gcm'),
  'aes-256-ccm': ccm('aes-256-ccm'),
  'aes-256-gcm': gcm('aes-256-gcm'),
};

/** The sealed message of a frame, after checks of the header ([MS-SMB2] 3.3.5.2.1.1). */
function sealedMessage(frame: Buffer, sessionId: bigint): Buffer {
  if (transformSessionId(frame) !== sessionId) throw new UnsealError('not a sealed message of this session');
  const message = frame.subarray(TRANSFORM_HEADER_SIZE);
  if (message.length === 0 || frame.readUInt32LE(ORIGINAL_SIZE_OFFSET) !== message.length) {
    throw new UnsealError('OriginalMessageSize differs from the size of the sealed message');
  }
  if (frame.readUInt16LE(FLAGS_OFFSET) !== FLAG_ENCRYPTED) throw new UnsealError('unknown transform flags');
  return message;
}

/**
 * Seals the messages of one session ([MS-SMB2] 3.1.4.3). All channels of the session share one sealer for the life of
 * its keys, so that no nonce repeats.
 */
export function createSealer(options: SealerOptions): Sealer {
  const { sessionId, firstNonce } = options;
  const algorithm = algorithms[options.cipher];
  const encryptionKey = createSecretKey(options.encryptionKey);
  const decryptionKey = createSecretKey(options.decryptionKey);
  const nonces = firstNonce ? new Nonces(firstNonce) : Nonces.random(algorithm.nonceLength);

  const writeHeader = (header: Buffer, size: number): void => {
    const nonce = nonces.next();
    header.fill(0, 0, TRANSFORM_HEADER_SIZE);
    header.writeUInt32LE(PROTOCOL_ID, 0);
    nonce.copy(header, NONCE_OFFSET);
    header.writeUInt32LE(size, ORIGINAL_SIZE_OFFSET);
    header.writeUInt16LE(FLAG_ENCRYPTED, FLAGS_OFFSET);
    header.writeBigUInt64LE(sessionId, SESSION_ID_OFFSET);
  };

  return {
    seal(frame) {
      const message = frame.subarray(TRANSFORM_HEADER_SIZE);
      writeHeader(frame, message.length);
      let at = 0;
      for (const output of algorithm.encrypt(encryptionKey, frame, [message])) at += output.copy(message, at);
    },
    sealParts(message) {
      const header = Buffer.alloc(TRANSFORM_HEADER_SIZE);
      const size = message.reduce((sum, part) => sum + part.length, 0);
      writeHeader(header, size);
      return [header, ...algorithm.encrypt(encryptionKey, header, message)];
    },
    unseal(frame) {
      const message = sealedMessage(frame, sessionId);
      try {
        return algorithm.decrypt(decryptionKey, frame, message);
      } catch (cause) {
        throw new UnsealError('the authentication tag of a sealed message is wrong', { cause });
      }
    },
  };
}
