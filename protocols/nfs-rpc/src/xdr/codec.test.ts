import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  bool,
  byteString,
  type Codec,
  decodeOne,
  encodeOne,
  enumeration,
  fixedOpaque,
  int32,
  linkedList,
  list,
  nothing,
  opaque,
  optional,
  struct,
  uint32,
  uint64,
  uint64Number,
  union,
  unionWithDefault,
  utf8String,
} from './codec.ts';
import { MalformedError } from './error.ts';

const u32 = fc.nat({ max: 0xffff_ffff });
const bytes = (maxLength: number) => fc.uint8Array({ maxLength }).map((data) => Buffer.from(data));
const latin1 = fc.uint8Array({ maxLength: 40 }).map((data) => Buffer.from(data).toString('latin1'));

/** Encodes by the rules of RFC 4506, and decodes again. */
function golden<T>(codec: Codec<T>, value: T, hex: string): void {
  const wire = Buffer.from(hex.replaceAll(' ', ''), 'hex');
  expect(encodeOne(codec, value).toString('hex')).toBe(wire.toString('hex'));
  expect(decodeOne(codec, wire)).toEqual(value);
}

function roundTrip<T>(codec: Codec<T>, values: fc.Arbitrary<T>): void {
  fc.assert(
    fc.property(values, (value) => {
      const wire = encodeOne(codec, value);
      expect(wire.length % 4).toBe(0);
      expect(wire.length).toBeGreaterThanOrEqual(codec.minimumSize);
      expect(decodeOne(codec, wire)).toEqual(value);
      for (let length = 0; length < wire.length; length += 4) {
        expect(() => decodeOne(codec, wire.subarray(0, length))).toThrow(MalformedError);
      }
    }),
    { numRuns: 50 },
  );
}

describe('XDR (RFC 4506)', () => {
  it('encodes each type as the RFC shows it', () => {
    golden(int32, -2, 'fffffffe');
    golden(uint32, 0xdeadbeef, 'deadbeef');
    golden(bool, true, '00000001');
    golden(uint64, 0x0123456789abcdefn, '0123456789abcdef');
    golden(uint64Number, 2 ** 53 - 1, '001fffffffffffff');
    golden(fixedOpaque(5), Buffer.from('01020304ff', 'hex'), '01020304ff000000');
    golden(opaque(5), Buffer.from('0102030405', 'hex'), '00000005 0102030405000000');
    golden(byteString(10), 'sillyprog\xe9', '0000000a 73696c6c7970726f67e9 0000');
    golden(utf8String(), 'é', '00000002 c3a90000');
    golden(optional(uint32), undefined, '00000000');
    golden(optional(uint32), 5, '00000001 00000005');
    golden(list(uint32), [1, 2], '00000002 00000001 00000002');
    golden(linkedList(uint32), [1, 2], '00000001 00000001 00000001 00000002 00000000');
    golden(struct({ a: uint32, b: bool }), { a: 7, b: false }, '00000007 00000000');
    golden(union('kind', { 1: struct({ a: uint32 }), 4: nothing }), { kind: 1, a: 9 }, '00000001 00000009');
    golden(unionWithDefault('s', { 0: struct({ a: uint32 }) }, nothing), { s: 70 }, '00000046');
  });

  it('decodes what it has encoded, and nothing that is cut short', () => {
    roundTrip(uint32, u32);
    roundTrip(int32, fc.integer());
    roundTrip(uint64, fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }));
    roundTrip(uint64Number, fc.nat({ max: Number.MAX_SAFE_INTEGER }));
    roundTrip(opaque(64), bytes(64));
    roundTrip(byteString(), latin1);
    roundTrip(optional(uint64), fc.option(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), { nil: undefined }));
    roundTrip(
      list(struct({ name: byteString(), id: uint32 })),
      fc.array(fc.record({ name: latin1, id: u32 })),
    );
    roundTrip(linkedList(opaque()), fc.array(bytes(9), { maxLength: 5 }));
  });

  it('refuses lengths that the data cannot hold, up to 2^32 - 1, without allocating them', () => {
    const codecs: Codec<unknown>[] = [opaque(), byteString(), utf8String(), list(uint32), list(nothing)];
    fc.assert(
      fc.property(fc.constantFrom(...codecs), fc.nat({ max: 0xffff_ffff - 17 }), (codec, more) => {
        const wire = Buffer.alloc(20);
        wire.writeUInt32BE(17 + more);
        expect(() => decodeOne(codec, wire)).toThrow(MalformedError);
      }),
    );
  });

  it('refuses values outside their range', () => {
    expect(() => decodeOne(bool, Buffer.from('00000002', 'hex'))).toThrow(MalformedError);
    expect(() => decodeOne(enumeration({ a: 1 }), Buffer.from('00000002', 'hex'))).toThrow(MalformedError);
    expect(() => decodeOne(union('k', { 1: nothing }), Buffer.from('00000002', 'hex'))).toThrow(
      MalformedError,
    );
    expect(() => decodeOne(opaque(3), Buffer.from('0000000401020304', 'hex'))).toThrow(MalformedError);
    expect(() => decodeOne(uint32, Buffer.alloc(8))).toThrow(MalformedError);
    expect(() => encodeOne(uint64Number, 2 ** 53)).toThrow(RangeError);
    expect(() => encodeOne(uint64Number, -1)).toThrow(RangeError);
    expect(() => encodeOne(fixedOpaque(8), Buffer.alloc(7))).toThrow(RangeError);
  });

  it('keeps a number above 2^53 above 2^53', () => {
    expect(decodeOne(uint64Number, Buffer.from('0020000000000001', 'hex'))).toBeGreaterThan(
      Number.MAX_SAFE_INTEGER,
    );
    expect(decodeOne(uint64Number, Buffer.from('ffffffffffffffff', 'hex'))).toBeGreaterThan(
      Number.MAX_SAFE_INTEGER,
    );
  });
});
