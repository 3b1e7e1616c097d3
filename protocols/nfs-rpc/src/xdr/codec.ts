import { MalformedError } from './error.ts';
import { XdrReader } from './reader.ts';
import { XdrWriter } from './writer.ts';

/** One declaration of a wire structure: type, decoder, encoder and minimum size. */
export interface Codec<T> {
  /** Bytes of the shortest encoding. Bounds the length of a list before memory is allocated for it. */
  readonly minimumSize: number;
  /** @throws MalformedError */
  decode(reader: XdrReader): T;
  encode(writer: XdrWriter, value: T): void;
}

/** The type that a codec encodes. */
export type Decoded<C> = C extends Codec<infer T> ? T : never;

/** RFC 4506 §4.2. */
export const uint32: Codec<number> = {
  minimumSize: 4,
  decode: (reader) => reader.uint32(),
  encode: (writer, value) => writer.uint32(value),
};

/** RFC 4506 §4.1. */
export const int32: Codec<number> = {
  minimumSize: 4,
  decode: (reader) => reader.int32(),
  encode: (writer, value) => writer.int32(value),
};

/** RFC 4506 §4.4. */
export const bool: Codec<boolean> = {
  minimumSize: 4,
  decode: (reader) => reader.bool(),
  encode: (writer, value) => writer.bool(value),
};

/** RFC 4506 §4.5, any value. */
export const uint64: Codec<bigint> = {
  minimumSize: 8,
  decode: (reader) => reader.uint64(),
  encode: (writer, value) => writer.uint64(value),
};

/** RFC 4506 §4.5 as a number. A value above 2^53 - 1 is decoded inexactly, but stays above 2^53 - 1. */
export const uint64Number: Codec<number> = {
  minimumSize: 8,
  decode: (reader) => reader.uint64Number(),
  encode: (writer, value) => writer.uint64Number(value),
};

/** RFC 4506 §4.16, void: an arm or a body without fields. */
export const nothing: Codec<object> = {
  minimumSize: 0,
  decode: () => ({}),
  encode: () => undefined,
};

/** RFC 4506 §4.9. */
export function fixedOpaque(length: number): Codec<Buffer> {
  return {
    minimumSize: length,
    decode: (reader) => reader.fixedOpaque(length),
    encode: (writer, value) => {
      if (value.length !== length) throw new RangeError(`opaque[${length}] of ${value.length} bytes`);
      writer.fixedOpaque(value);
    },
  };
}

/** RFC 4506 §4.10. Without `maximum`, only the record bounds the length. */
export function opaque(maximum = 0xffff_ffff): Codec<Buffer> {
  return {
    minimumSize: 4,
    decode: (reader) => reader.opaque(maximum),
    encode: (writer, value) => writer.opaque(value),
  };
}

/** RFC 4506 §4.11, one character for each byte. Without `maximum`, only the record bounds the length. */
export function byteString(maximum = 0xffff_ffff): Codec<string> {
  return {
    minimumSize: 4,
    decode: (reader) => reader.byteString(maximum),
    encode: (writer, value) => writer.byteString(value),
  };
}

/** RFC 4506 §4.11, as UTF-8. */
export function utf8String(maximum = 0xffff_ffff): Codec<string> {
  return {
    minimumSize: 4,
    decode: (reader) => reader.opaque(maximum).toString('utf8'),
    encode: (writer, value) => writer.opaque(Buffer.from(value, 'utf8')),
  };
}

/** RFC 4506 §4.3: accepts the listed values only. */
export function enumeration<T extends number>(values: Readonly<Record<string, T>>): Codec<T> {
  const known = new Set<number>(Object.values(values));
  return {
    minimumSize: 4,
    decode: (reader) => {
      const value = reader.uint32();
      if (!known.has(value)) throw new MalformedError(`enumeration value ${value}`);
      return value as T;
    },
    encode: (writer, value) => writer.uint32(value),
  };
}

/** RFC 4506 §4.19. */
export function optional<T>(codec: Codec<T>): Codec<T | undefined> {
  return {
    minimumSize: 4,
    decode: (reader) => (reader.bool() ? codec.decode(reader) : undefined),
    encode: (writer, value) => {
      writer.bool(value !== undefined);
      if (value !== undefined) codec.encode(writer, value);
    },
  };
}

/** Variable-length array, RFC 4506 §4.13. */
export function list<T>(codec: Codec<T>, maximum = 0xffff_ffff): Codec<readonly T[]> {
  return {
    minimumSize: 4,
    decode: (reader) => {
      const count = reader.uint32();
      if (count > maximum || count * Math.max(codec.minimumSize, 1) > reader.remaining) {
        throw new MalformedError(`array of ${count} elements`);
      }
      return Array.from({ length: count }, () => codec.decode(reader));
    },
    encode: (writer, value) => {
      writer.uint32(value.length);
      for (const element of value) codec.encode(writer, element);
    },
  };
}

/** A linked list, RFC 4506 §4.19 (`stringlist` there). Only the record bounds its length. */
export function linkedList<T>(codec: Codec<T>): Codec<readonly T[]> {
  return {
    minimumSize: 4,
    decode: (reader) => {
      const elements: T[] = [];
      while (reader.bool()) elements.push(codec.decode(reader));
      return elements;
    },
    encode: (writer, value) => {
      for (const element of value) {
        writer.bool(true);
        codec.encode(writer, element);
      }
      writer.bool(false);
    },
  };
}

/** RFC 4506 §4.14: encodes the fields in the order of their declaration. */
export function struct<T extends object>(fields: { readonly [K in keyof T]: Codec<T[K]> }): Codec<
  Readonly<T>
> {
  const entries = Object.entries<Codec<unknown>>(fields);
  return {
    minimumSize: entries.reduce((sum, [, codec]) => sum + codec.minimumSize, 0),
    decode: (reader) => {
      const value: Record<string, unknown> = {};
      for (const [name, codec] of entries) value[name] = codec.decode(reader);
      return value as T;
    },
    encode: (writer, value) => {
      for (const [name, codec] of entries) codec.encode(writer, value[name as keyof T]);
    },
  };
}

type Cases = Readonly<Record<number, Codec<object>>>;
/** The arms of a union: each has the fields of its case and the discriminant. */
type Arms<Tag extends string, C extends Cases> = {
  [K in keyof C & number]: { readonly [P in Tag]: K } & Decoded<C[K]>;
}[keyof C & number];

/** RFC 4506 §4.15 without a default arm. */
export function union<const Tag extends string, C extends Cases>(tag: Tag, cases: C): Codec<Arms<Tag, C>> {
  return anyUnion(tag, cases, undefined) as unknown as Codec<Arms<Tag, C>>;
}

/** RFC 4506 §4.15 with a default arm. */
export function unionWithDefault<const Tag extends string, C extends Cases, D extends object>(
  tag: Tag,
  cases: C,
  otherwise: Codec<D>,
): Codec<Arms<Tag, C> | ({ readonly [P in Tag]: number } & D)> {
  return anyUnion(tag, cases, otherwise) as unknown as Codec<
    Arms<Tag, C> | ({ readonly [P in Tag]: number } & D)
  >;
}

function anyUnion(tag: string, cases: Cases, otherwise: Codec<object> | undefined): Codec<object> {
  const arms = new Map(Object.entries(cases).map(([key, codec]) => [Number(key), codec]));
  const arm = (value: number): Codec<object> => {
    const found = arms.get(value) ?? otherwise;
    if (found === undefined) throw new MalformedError(`${tag} ${value}`);
    return found;
  };
  const all = otherwise === undefined ? [...arms.values()] : [...arms.values(), otherwise];
  return {
    minimumSize: 4 + Math.min(...all.map((codec) => codec.minimumSize)),
    decode: (reader) => {
      const value = reader.uint32();
      return { [tag]: value, ...arm(value).decode(reader) };
    },
    encode: (writer, value) => {
      const discriminant = (value as Record<string, number>)[tag]!;
      writer.uint32(discriminant);
      arm(discriminant).encode(writer, value);
    },
  };
}

/** Maps the decoded value to another type. The wire form stays the same. */
export function convert<Wire, T>(
  codec: Codec<Wire>,
  fromWire: (wire: Wire) => T,
  toWire: (value: T) => Wire,
): Codec<T> {
  return {
    minimumSize: codec.minimumSize,
    decode: (reader) => fromWire(codec.decode(reader)),
    encode: (writer, value) => codec.encode(writer, toWire(value)),
  };
}

/** Encodes one value into a new buffer. */
export function encodeOne<T>(codec: Codec<T>, value: T): Buffer {
  const writer = new XdrWriter();
  codec.encode(writer, value);
  return writer.bytes();
}

/** Decodes one value that must fill the whole buffer. */
export function decodeOne<T>(codec: Codec<T>, bytes: Buffer): T {
  const reader = new XdrReader(bytes);
  const value = codec.decode(reader);
  if (reader.remaining !== 0) throw new MalformedError(`${reader.remaining} bytes too many`);
  return value;
}
