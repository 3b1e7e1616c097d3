import { createCipheriv, createSecretKey } from 'node:crypto';

const BLOCK = 16;
/** Larger updates allocate outputs that fall out of the CPU's cache. */
const SLICE = 64 * 1024;
/** Where short messages are put together; shared, since a digest never yields. */
const scratch = Buffer.allocUnsafeSlow(4096);

/** RFC 4493 2.3: one step of the subkey generation (a left shift, reduced modulo x^128 + x^7 + x^2 + x + 1). */
function double(block: Buffer): Buffer {
  const result = Buffer.alloc(BLOCK);
  for (let i = 0; i < BLOCK; i++) result[i] = (block[i]! << 1) | ((block[i + 1] ?? 0) >> 7);
  if (block[0]! & 0x80) result[BLOCK - 1]! ^= 0x87;
  return result;
}

function xorInto(target: Buffer, at: number, block: Buffer): void {
  for (let i = 0; i < BLOCK; i++) target[at + i]! ^= block[i]!;
}

/**
 * AES-128-CMAC (RFC 4493) with one cipher for all messages of a session: making one costs several times as much as a
 * short message. The CBC chain never restarts; the previous output block, which the cipher will add to the next input,
 * is added to the first block of a message beforehand and so cancels out.
 */
export class AesCmac {
  readonly #cipher;
  readonly #previous = Buffer.alloc(BLOCK);
  readonly #subkey1: Buffer;
  readonly #subkey2: Buffer;

  /** @param key 16 bytes. */
  constructor(key: Uint8Array) {
    this.#cipher = createCipheriv('aes-128-cbc', createSecretKey(key), Buffer.alloc(BLOCK)).setAutoPadding(
      false,
    );
    this.#absorb(Buffer.alloc(BLOCK));
    this.#subkey1 = double(this.#previous);
    this.#subkey2 = double(this.#subkey1);
  }

  /** The 16-byte code of the message that `parts` make together. The parts are not changed. */
  digest(...parts: readonly Uint8Array[]): Buffer {
    let used = 0;
    let chained = false;
    for (const part of parts) {
      for (let at = 0; at < part.length;) {
        if (used === scratch.length) {
          this.#absorbScratch(used, chained);
          chained = true;
          used = 0;
        }
        if (chained && used === 0) {
          // Whole blocks straight from the part; at least one byte stays behind, because the last block is special.
          const direct = part.length - at - 1 - ((part.length - at - 1) % BLOCK);
          this.#absorb(part.subarray(at, at + direct));
          at += direct;
        }
        const take = Math.min(scratch.length - used, part.length - at);
        scratch.set(part.subarray(at, at + take), used);
        used += take;
        at += take;
      }
    }
    const partial = used === 0 ? 0 : ((used - 1) % BLOCK) + 1;
    const last = used - partial;
    if (partial < BLOCK) {
      scratch.fill(0, used, last + BLOCK);
      scratch[used] = 0x80;
    }
    xorInto(scratch, last, partial < BLOCK ? this.#subkey2 : this.#subkey1);
    this.#absorbScratch(last + BLOCK, chained);
    return Buffer.from(this.#previous);
  }

  /** Chains what the scratch buffer holds; the first blocks of a message are freed of the previous one's chain. */
  #absorbScratch(used: number, chained: boolean): void {
    if (!chained) xorInto(scratch, 0, this.#previous);
    this.#absorb(scratch.subarray(0, used));
  }

  /** Chains whole blocks. */
  #absorb(blocks: Uint8Array): void {
    for (let at = 0; at < blocks.length; at += SLICE) {
      const output = this.#cipher.update(blocks.subarray(at, at + SLICE));
      output.copy(this.#previous, 0, output.length - BLOCK);
    }
  }
}
