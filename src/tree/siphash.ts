/**
 * SipHash-2-4 (Aumasson, Bernstein 2012) over byte strings, in 32-bit halves, without bigint, buffer or allocation. The digest
 * is in `high` and `low`.
 */
export interface StringHash {
  /** Unsigned 32-bit halves of the last digest. */
  high: number;
  low: number;
  /** Hashes one character as one byte (U+0000..U+00FF). */
  update(text: string): void;
}

export class SipHash implements StringHash {
  high = 0;
  low = 0;
  readonly #k0l: number;
  readonly #k0h: number;
  readonly #k1l: number;
  readonly #k1h: number;

  /** @param key 16 bytes. */
  constructor(key: Buffer) {
    if (key.length !== 16) throw new RangeError('a SipHash key has 16 bytes');
    this.#k0l = key.readInt32LE(0);
    this.#k0h = key.readInt32LE(4);
    this.#k1l = key.readInt32LE(8);
    this.#k1h = key.readInt32LE(12);
  }

  update(text: string): void {
    let v0l = this.#k0l ^ 0x70736575;
    let v0h = this.#k0h ^ 0x736f6d65;
    let v1l = this.#k1l ^ 0x6e646f6d;
    let v1h = this.#k1h ^ 0x646f7261;
    let v2l = this.#k0l ^ 0x6e657261;
    let v2h = this.#k0h ^ 0x6c796765;
    let v3l = this.#k1l ^ 0x79746573;
    let v3h = this.#k1h ^ 0x74656462;

    const length = text.length;
    const blocks = length >> 3;
    let position = 0;
    // One turn for each whole block, one for the last, partial block, and one for the finalisation.
    for (let turn = 0; turn <= blocks + 1; turn++) {
      let ml = 0;
      let mh = 0;
      let rounds = 2;
      if (turn < blocks) {
        ml =
          text.charCodeAt(position) |
          (text.charCodeAt(position + 1) << 8) |
          (text.charCodeAt(position + 2) << 16) |
          (text.charCodeAt(position + 3) << 24);
        mh =
          text.charCodeAt(position + 4) |
          (text.charCodeAt(position + 5) << 8) |
          (text.charCodeAt(position + 6) << 16) |
          (text.charCodeAt(position + 7) << 24);
        position += 8;
      } else if (turn === blocks) {
        for (let i = 0; position + i < length; i++) {
          if (i < 4) ml |= text.charCodeAt(position + i) << (8 * i);
          else mh |= text.charCodeAt(position + i) << (8 * (i - 4));
        }
        mh |= length << 24;
      } else {
        v2l ^= 0xff;
        rounds = 4;
      }
      v3l ^= ml;
      v3h ^= mh;
      for (let round = 0; round < rounds; round++) {
        let sum = (v0l >>> 0) + (v1l >>> 0);
        v0h = (v0h + v1h + (sum > 0xffffffff ? 1 : 0)) | 0;
        v0l = sum | 0;
        let t = (v1h << 13) | (v1l >>> 19);
        v1l = ((v1l << 13) | (v1h >>> 19)) ^ v0l;
        v1h = t ^ v0h;
        t = v0l;
        v0l = v0h;
        v0h = t;

        sum = (v2l >>> 0) + (v3l >>> 0);
        v2h = (v2h + v3h + (sum > 0xffffffff ? 1 : 0)) | 0;
        v2l = sum | 0;
        t = (v3h << 16) | (v3l >>> 16);
        v3l = ((v3l << 16) | (v3h >>> 16)) ^ v2l;
        v3h = t ^ v2h;

        sum = (v0l >>> 0) + (v3l >>> 0);
        v0h = (v0h + v3h + (sum > 0xffffffff ? 1 : 0)) | 0;
        v0l = sum | 0;
        t = (v3h << 21) | (v3l >>> 11);
        v3l = ((v3l << 21) | (v3h >>> 11)) ^ v0l;
        v3h = t ^ v0h;

        sum = (v2l >>> 0) + (v1l >>> 0);
        v2h = (v2h + v1h + (sum > 0xffffffff ? 1 : 0)) | 0;
        v2l = sum | 0;
        t = (v1h << 17) | (v1l >>> 15);
        v1l = ((v1l << 17) | (v1h >>> 15)) ^ v2l;
        v1h = t ^ v2h;
        t = v2l;
        v2l = v2h;
        v2h = t;
      }
      v0l ^= ml;
      v0h ^= mh;
    }
    this.low = (v0l ^ v1l ^ v2l ^ v3l) >>> 0;
    this.high = (v0h ^ v1h ^ v2h ^ v3h) >>> 0;
  }
}
