import { newSlab, type Slab } from '../xdr/writer.ts';

const HEADROOM = 256;
/** In bytes: small replies, then powers of two with room for the header of a READ reply. */
const SIZES = [1024, ...[4, 8, 16, 32, 64, 128, 256, 512, 1024].map((kib) => kib * 1024 + HEADROOM)];

/** Reply buffers by size class. A buffer above the largest class is used once. */
export class SlabPool {
  readonly #free: readonly Slab[][] = SIZES.map(() => []);
  readonly #maximum: number;
  #pooled = 0;

  /** @param maximum bytes of free buffers to keep. */
  constructor(maximum: number) {
    this.#maximum = maximum;
  }

  /** Bytes of free buffers now. */
  get pooledBytes(): number {
    return this.#pooled;
  }

  /** Returns a slab of at least `size` bytes. It still holds the bytes of its last use. */
  acquire(size: number): Slab {
    for (let index = 0; index < SIZES.length; index++) {
      if (size > SIZES[index]!) continue;
      const slab = this.#free[index]!.pop();
      if (slab === undefined) return newSlab(SIZES[index]!);
      this.#pooled -= slab.buffer.length;
      return slab;
    }
    return newSlab(size);
  }

  /** Takes back a slab that is no longer written to or read from. */
  release(slab: Slab): void {
    const { length } = slab.buffer;
    const index = SIZES.indexOf(length);
    if (index < 0 || this.#pooled + length > this.#maximum) return;
    this.#pooled += length;
    this.#free[index]!.push(slab);
  }
}
