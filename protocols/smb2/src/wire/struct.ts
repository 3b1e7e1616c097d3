/**
 * Declarations of little-endian structures with a fixed layout. Each structure is declared once, and its type, decoder,
 * encoder and size follow from the declaration. Offsets are computed at declaration, so decoding and encoding only loop
 * over a list.
 */
import { MalformedError } from './malformed.ts';

export interface Field<T> {
  readonly size: number;
  read(view: DataView, at: number): T;
  write(view: DataView, at: number, value: T): void;
}

/** The type of fields that are not part of the structure's value, because the codec checks or fills them. */
type Silent = undefined;

export type Fields = Readonly<Record<string, Field<unknown>>>;
type ValueOf<F> = F extends { read(view: DataView, at: number): infer T } ? T : never;
export type Values<F> = {
  -readonly [K in keyof F as ValueOf<F[K]> extends Silent ? never : K]: ValueOf<F[K]>;
};

export const u8: Field<number> = {
  size: 1,
  read: (view, at) => view.getUint8(at),
  write: (view, at, value) => view.setUint8(at, value),
};
export const u16: Field<number> = {
  size: 2,
  read: (view, at) => view.getUint16(at, true),
  write: (view, at, value) => view.setUint16(at, value, true),
};
export const u32: Field<number> = {
  size: 4,
  read: (view, at) => view.getUint32(at, true),
  write: (view, at, value) => view.setUint32(at, value, true),
};
export const u64: Field<bigint> = {
  size: 8,
  read: (view, at) => view.getBigUint64(at, true),
  write: (view, at, value) => view.setBigUint64(at, value, true),
};
/** A 64-bit integer as a number. Values above 2^53 are inexact, but stay above `Number.MAX_SAFE_INTEGER`. */
export const size64: Field<number> = {
  size: 8,
  read: (view, at) => view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true),
  write: (view, at, value) => {
    view.setUint32(at, value >>> 0, true);
    view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
  },
};
export const flag: Field<boolean> = {
  size: 1,
  read: (view, at) => view.getUint8(at) !== 0,
  write: (view, at, value) => view.setUint8(at, value ? 1 : 0),
};

/** `length` bytes; reading makes a copy. A shorter value is padded with zeros. */
export const bytes = (length: number): Field<Buffer> => ({
  size: length,
  read: (view, at) => Buffer.from(new Uint8Array(view.buffer, view.byteOffset + at, length)),
  write: (view, at, value) => {
    const target = new Uint8Array(view.buffer, view.byteOffset + at, length);
    target.fill(0);
    target.set(value.subarray(0, length));
  },
});

/** Ignored when read, zero when written. */
export const reserved = (length: number): Field<undefined> => ({
  size: length,
  read: () => undefined,
  write: (view, at) => void new Uint8Array(view.buffer, view.byteOffset + at, length).fill(0),
});

/** A constant. Any other value in received data is malformed. */
export const fixed = (field: Field<number>, constant: number): Field<undefined> => ({
  size: field.size,
  read: (view, at) => {
    const value = field.read(view, at);
    if (value !== constant) throw new MalformedError(`expected ${constant}, got ${value}`);
    return undefined;
  },
  write: (view, at) => field.write(view, at, constant),
});

/** The StructureSize at the start of every SMB2 body. */
export const structureSize = (size: number): Field<undefined> => fixed(u16, size);

export const viewOf = (buffer: Buffer): DataView =>
  new DataView(buffer.buffer, buffer.byteOffset, buffer.length);

export class Structure<F extends Fields> {
  readonly name: string;
  /** The section of the specification that defines it. */
  readonly section: string;
  /** Size of the fixed part in bytes. */
  readonly size: number;
  readonly #fields: readonly { name: string; at: number; field: Field<unknown> }[];

  constructor(name: string, section: string, fields: F) {
    this.name = name;
    this.section = section;
    let at = 0;
    this.#fields = Object.entries(fields).map(([key, field]) => {
      const entry = { name: key, at, field: field };
      at += field.size;
      return entry;
    });
    this.size = at;
  }

  /** @throws MalformedError when the buffer is too short or a constant is wrong. */
  decode(buffer: Buffer, at = 0): Values<F> {
    if (at < 0 || at + this.size > buffer.length)
      throw new MalformedError(`${this.name} needs ${this.size} bytes, ${buffer.length - at} left`);
    const view = viewOf(buffer);
    const values: Record<string, unknown> = {};
    for (const { name, at: offset, field } of this.#fields) {
      const value = field.read(view, at + offset);
      if (value !== undefined) values[name] = value;
    }
    return values as Values<F>;
  }

  encode(values: Values<F>, buffer: Buffer, at = 0): void {
    const view = viewOf(buffer);
    const source = values as Record<string, unknown>;
    for (const { name, at: offset, field } of this.#fields) field.write(view, at + offset, source[name]);
  }

  /** A new buffer with the structure, then `tail`. */
  toBuffer(values: Values<F>, tail?: Buffer): Buffer {
    const buffer = Buffer.allocUnsafe(this.size + (tail?.length ?? 0));
    this.encode(values, buffer);
    if (tail) tail.copy(buffer, this.size);
    return buffer;
  }
}

export const structure = <F extends Fields>(name: string, section: string, fields: F): Structure<F> =>
  new Structure(name, section, fields);

/**
 * Returns `length` bytes at `offset` of `packet`, for an offset and a length from the wire.
 * @param earliest lowest valid offset of variable data.
 * @throws MalformedError when the range exceeds these bounds.
 */
export function area(packet: Buffer, offset: number, length: number, earliest: number): Buffer {
  if (length === 0) return packet.subarray(0, 0);
  if (offset < earliest || offset + length > packet.length)
    throw new MalformedError(
      `${length} bytes at ${offset} lie outside the ${packet.length} bytes of the message`,
    );
  return packet.subarray(offset, offset + length);
}

export const align = (value: number, to: number): number => Math.ceil(value / to) * to;
