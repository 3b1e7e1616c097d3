/**
 * The persistent half of the FileIds of a read-only share: the node's id, enciphered. A later process with the same
 * key gets the id back and compares it with that of the node at the CREATE's path, so a forged or foreign value names
 * some other node with probability 1 - 2^-64 and is refused.
 *
 * The cipher is a balanced Feistel network of eight rounds over 64 bits with AES as its round function; two rounds
 * more than what is needed for a pseudo-random permutation against chosen plain- and ciphertexts (Luby and Rackoff:
 * four; the margin covers the small block).
 */
import { createCipheriv, createHash } from 'node:crypto';
import type { Cipher } from 'node:crypto';

const ROUNDS = 8;
const MASK_32 = 0xffffffffn;

export class PersistentIds {
  readonly #cipher: Cipher;
  readonly #block = Buffer.alloc(16);

  /**
   * @param key 32 bytes.
   * @param share each share has ids of its own.
   */
  constructor(key: Buffer, share: string) {
    const derived = createHash('sha256').update(key).update(`persistent-id\0${share.toLowerCase()}`).digest();
    this.#cipher = createCipheriv('aes-256-ecb', derived, null);
    this.#cipher.setAutoPadding(false);
  }

  /** @param id unsigned 64 bit. */
  encode(id: bigint): bigint {
    let left = Number((id >> 32n) & MASK_32);
    let right = Number(id & MASK_32);
    for (let round = 0; round < ROUNDS; round++)
      [left, right] = [right, (left ^ this.#round(round, right)) >>> 0];
    return (BigInt(left) << 32n) | BigInt(right);
  }

  decode(persistent: bigint): bigint {
    let left = Number((persistent >> 32n) & MASK_32);
    let right = Number(persistent & MASK_32);
    for (let round = ROUNDS - 1; round >= 0; round--)
      [left, right] = [(right ^ this.#round(round, left)) >>> 0, left];
    return (BigInt(left) << 32n) | BigInt(right);
  }

  #round(round: number, half: number): number {
    this.#block.writeUInt32LE(round, 0);
    this.#block.writeUInt32LE(half, 4);
    return this.#cipher.update(this.#block).readUInt32LE(0);
  }
}
