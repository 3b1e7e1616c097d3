import { padding } from './reader.ts';

const TWO_32 = 0x1_0000_0000;

/** A buffer with its DataView: making the view costs more than writing a whole reply header through it. */
export interface Slab {
  readonly buffer: Buffer;
  readonly view: DataView;
}

export function newSlab(size: number): Slab {
  const buffer = Buffer.allocUnsafeSlow(size);
  return { buffer, view: new DataView(buffer.buffer, buffer.byteOffset, size) };
}

/** Writes XDR items (RFC 4506) one after the other into a slab that grows when needed. */
export class XdrWriter {
  slab: Slab;
  offset: number;

  constructor(slab: Slab = newSlab(256), offset = 0) {
    this.slab = slab;
    this.offset = offset;
  }

  /** Makes room for `size` more bytes. */
  ensure(size: number): void {
    const needed = this.offset + size;
    if (needed > this.slab.buffer.length) this.grow(needed);
  }

  protected grow(needed: number): void {
    const larger = newSlab(Math.max(needed, this.slab.buffer.length * 2));
    this.slab.buffer.copy(larger.buffer, 0, 0, this.offset);
    this.slab = larger;
  }

  uint32(value: number): void {
    this.ensure(4);
    this.slab.view.setUint32(this.offset, value);
    this.offset += 4;
  }

  int32(value: number): void {
    this.ensure(4);
    this.slab.view.setInt32(this.offset, value);
    this.offset += 4;
  }

  bool(value: boolean): void {
    this.uint32(value ? 1 : 0);
  }

  uint64(value: bigint): void {
    this.ensure(8);
    this.slab.view.setBigUint64(this.offset, value);
    this.offset += 8;
  }

  /** @throws RangeError unless the value is an integer between 0 and 2^53 - 1. */
  uint64Number(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0)
      throw new RangeError(`${value} is no unsigned hyper integer`);
    this.ensure(8);
    this.slab.view.setUint32(this.offset, Math.floor(value / TWO_32));
    this.slab.view.setUint32(this.offset + 4, value >>> 0);
    this.offset += 8;
  }

  fixedOpaque(data: Uint8Array): void {
    this.ensure(data.length + 3);
    this.slab.buffer.set(data, this.offset);
    this.offset += data.length;
    this.pad(data.length);
  }

  opaque(data: Uint8Array): void {
    this.uint32(data.length);
    this.fixedOpaque(data);
  }

  /** A string with one character (U+0000..U+00FF) for each byte. */
  byteString(value: string): void {
    const { length } = value;
    this.ensure(length + 7);
    this.slab.view.setUint32(this.offset, length);
    this.slab.buffer.write(value, this.offset + 4, length, 'latin1');
    this.offset += 4 + length;
    this.pad(length);
  }

  /** Writes zero bytes up to the next multiple of four. The caller must have ensured room for three bytes. */
  pad(length: number): void {
    for (let missing = padding(length); missing > 0; missing--) this.slab.buffer[this.offset++] = 0;
  }

  /** The bytes written so far, as a view. */
  bytes(): Buffer {
    return this.slab.buffer.subarray(0, this.offset);
  }
}
