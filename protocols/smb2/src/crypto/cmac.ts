import { createCipheriv, createSecretKey } from 'node:crypto';

const BLOCK = 16;
/** In bytes. Outputs of larger updates do not fit into the CPU's cache. */
const SLICE = 64 * 1024;
/** Short messages are assembled here. All instances share it, since a digest never yields. */
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
 * AES-128-CMAC (RFC 4493) with one cipher object for all messages of a session: making one costs several times as much
 * as a short message. The CBC chain never restarts. The cipher adds the previous output block to the next input, so
 * that block is first added to the first block of a message, which cancels it out.
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

  /** Returns the 16-byte code of the concatenated `parts`. Does not change them. */
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
          // Absorb whole blocks straight from the part. Keep at least one byte back, since the last block is treated
          // differently.
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

  /** Absorbs the scratch buffer. For the first blocks of a message, cancels out the chain of the previous message. */
  #absorbScratch(used: number, chained: boolean): void {
    if (!chained) xorInto(scratch, 0, this.#previous);
    this.#absorb(scratch.subarray(0, used));
  }

  /** Absorbs whole blocks. */
  #absorb(blocks: Uint8Array): void {
    for (let at = 0; at < blocks.length; at += SLICE) {
      const output = this.#cipher.update(blocks.subarray(at, at + SLICE));
      output.copy(this.#previous, 0, output.length - BLOCK);
    }
  }
}
