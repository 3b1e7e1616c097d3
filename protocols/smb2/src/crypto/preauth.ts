import { createHash } from 'node:crypto';

/**
 * PreauthIntegrityHashValue ([MS-SMB2] 3.3.5.4, 3.3.5.5): H(i) = SHA-512(H(i-1) || message), starting with zeros. A
 * connection has one for NEGOTIATE. Each session setup continues from a `clone` of it.
 */
export class PreauthHash {
  #value: Buffer;

  constructor(value: Buffer = Buffer.alloc(64)) {
    this.#value = value;
  }

  /** 64 bytes. */
  get value(): Buffer {
    return this.#value;
  }

  /** @param message a whole request or response, from its SMB2 header on. */
  update(...message: readonly Uint8Array[]): void {
    const hash = createHash('sha512').update(this.#value);
    for (const part of message) hash.update(part);
    this.#value = hash.digest();
  }

  clone(): PreauthHash {
    return new PreauthHash(this.#value);
  }
}
