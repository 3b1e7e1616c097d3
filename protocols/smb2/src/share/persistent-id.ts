/**
 * The persistent half of FileIds on a read-only share: the encrypted id of the node. A later process with the same key
 * decrypts it and compares it with the id of the node at the CREATE's path. A forged or foreign value decrypts to the
 * id of another node with probability 1 - 2^-64, and is refused.
 *
 * The cipher is a balanced Feistel network of eight rounds over 64 bits, with AES as its round function. Four rounds
 * make a strong pseudo-random permutation (Luby and Rackoff); the other four are a margin for the small block.
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
   * @param share name of the share: each share has its own ids.
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
