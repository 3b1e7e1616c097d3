import { createHash } from 'node:crypto';

/**
 * A PreauthIntegrityHashValue ([MS-SMB2] 3.3.5.4, 3.3.5.5): H(i) = SHA-512(H(i-1) || message), starting from zeros.
 * A connection has one for NEGOTIATE; each session being set up goes on from a `clone` of it.
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

  /** @param message a whole request or response, from its SMB2 header to its end. */
  update(...message: readonly Uint8Array[]): void {
    const hash = createHash('sha512').update(this.#value);
    for (const part of message) hash.update(part);
    this.#value = hash.digest();
  }

  clone(): PreauthHash {
    return new PreauthHash(this.#value);
  }
}
