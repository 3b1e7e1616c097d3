import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { decodeCreateContexts, encodeCreateContexts, leaseV1, leaseV2 } from './create-contexts.ts';
import { encodeSymlinkError } from './error-response.ts';
import { decodeExtendedAttributes, encodeExtendedAttributes } from './fscc/ea.ts';
import { DirectoryEntries } from './fscc/directory-info.ts';
import { encodeNotify } from './fscc/notify.ts';
import { MalformedError } from './malformed.ts';
import { decodeIdList, decodeNegotiateContexts, encodeNegotiateContexts } from './negotiate.ts';

const bytes = fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array));

describe('create contexts', () => {
  it('come back as they were', () => {
    const context = fc.record({ name: fc.constantFrom('MxAc', 'QFid', 'RqLs', 'DH2Q'), data: bytes });
    fc.assert(
      fc.property(fc.array(context, { minLength: 1, maxLength: 6 }), (contexts) => {
        expect(decodeCreateContexts(encodeCreateContexts(contexts), 32)).toEqual(contexts);
      }),
    );
  });

  it('survive arbitrary bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (array) => {
        try {
          decodeCreateContexts(Buffer.from(array), 32);
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedError);
        }
      }),
    );
  });

  it('end when there are too many or the chain stands still', () => {
    const many = encodeCreateContexts(
      Array.from({ length: 5 }, () => ({ name: 'QFid', data: Buffer.alloc(0) })),
    );
    expect(() => decodeCreateContexts(many, 4)).toThrow(MalformedError);
    const still = encodeCreateContexts([
      { name: 'QFid', data: Buffer.alloc(8) },
      { name: 'QFid', data: Buffer.alloc(8) },
    ]);
    still.writeUInt32LE(8, 0);
    expect(() => decodeCreateContexts(still, 4)).toThrow(MalformedError);
  });

  it('have the sizes that tell lease versions apart', () => {
    expect(leaseV1.size).toBe(32);
    expect(leaseV2.size).toBe(52);
  });
});

describe('negotiate contexts', () => {
  it('come back as they were', () => {
    const context = fc.record({ type: fc.nat(0xffff), data: bytes });
    fc.assert(
      fc.property(fc.array(context, { maxLength: 6 }), (contexts) => {
        const encoded = encodeNegotiateContexts(contexts);
        expect(decodeNegotiateContexts(encoded, 0, contexts.length)).toEqual(contexts);
      }),
    );
  });

  it('refuse counts that lie', () => {
    expect(() => decodeNegotiateContexts(Buffer.alloc(8), 0, 2)).toThrow(MalformedError);
    expect(() => decodeIdList(Buffer.from([2, 0, 1, 0]))).toThrow(MalformedError);
    expect(() => decodeIdList(Buffer.from([0, 0]))).toThrow(MalformedError);
    expect(decodeIdList(Buffer.from([2, 0, 1, 0, 2, 0]))).toEqual([1, 2]);
  });
});

describe('extended attributes', () => {
  it('come back as they were', () => {
    const entry = fc.record({
      name: fc.stringMatching(/^[A-Z]{1,20}$/),
      flags: fc.constantFrom(0, 0x80),
      value: bytes,
    });
    fc.assert(
      fc.property(fc.array(entry, { minLength: 1, maxLength: 5 }), (list) => {
        expect(decodeExtendedAttributes(encodeExtendedAttributes(list))).toEqual(list);
      }),
    );
  });

  it('survive arbitrary bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (array) => {
        try {
          decodeExtendedAttributes(Buffer.from(array));
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedError);
        }
      }),
    );
  });
});

describe('directory entries', () => {
  const entry = (name: string) => ({
    name,
    fileIndex: 3,
    id: 0x1122334455667788n,
    creationTime: 1n,
    lastAccessTime: 2n,
    lastWriteTime: 3n,
    changeTime: 4n,
    endOfFile: 2 ** 40 + 5,
    allocationSize: 4096,
    attributes: 0x20,
    eaSize: 0,
    maximalAccess: 0,
    unixMode: 0,
    posix: Buffer.alloc(44),
  });

  it.each([
    [1, 64, -1],
    [2, 68, -1],
    [3, 94, -1],
    [12, 12, -1],
    [37, 104, 96],
    [38, 80, 72],
    [60, 88, 72],
    [63, 114, 72],
  ])('class %i has its name at %i', (informationClass, nameAt, idAt) => {
    const target = Buffer.alloc(1000, 0xee);
    const entries = DirectoryEntries.of(informationClass, target)!;
    expect(entries.add(entry('first'))).toBe(true);
    expect(entries.add(entry('second'))).toBe(true);
    const next = target.readUInt32LE(0);
    expect(next % 8).toBe(0);
    expect(target.toString('utf16le', nameAt, nameAt + 10)).toBe('first');
    expect(target.toString('utf16le', next + nameAt, next + nameAt + 12)).toBe('second');
    expect(target.readUInt32LE(next)).toBe(0);
    expect(entries.length).toBe(next + nameAt + 12);
    if (informationClass !== 12) expect(target.readBigUInt64LE(40)).toBe(2n ** 40n + 5n);
    if (idAt > 0) expect(target.readBigUInt64LE(idAt)).toBe(0x1122334455667788n);
  });

  it('never write past the buffer', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 600 }),
        fc.constantFrom(1, 2, 3, 12, 37, 38, 60, 63, 0x64),
        (size, level) => {
          const memory = Buffer.alloc(size + 16, 0xee);
          const entries = DirectoryEntries.of(level, memory.subarray(0, size))!;
          while (entries.add(entry('name'))) expect(entries.length).toBeLessThanOrEqual(size);
          expect(memory.subarray(size).every((byte) => byte === 0xee)).toBe(true);
        },
      ),
    );
  });

  it('know no other class', () => {
    expect(DirectoryEntries.of(4, Buffer.alloc(10))).toBeUndefined();
  });
});

describe('change notifications', () => {
  it('are chained and aligned, and none at all when they do not fit', () => {
    const events = [
      { action: 'added', name: 'abc' },
      { action: 'removed', name: 'd' },
    ] as const;
    const data = encodeNotify(events, 1000)!;
    expect(data.readUInt32LE(0)).toBe(20);
    expect(data.readUInt32LE(4)).toBe(1);
    expect(data.readUInt32LE(20)).toBe(0);
    expect(data.readUInt32LE(24)).toBe(2);
    expect(data).toHaveLength(34);
    expect(encodeNotify(events, 33)).toBeUndefined();
  });
});

describe('symbolic link errors', () => {
  it('carry target and rest', () => {
    const data = encodeSymlinkError('..\\target', '\\rest');
    expect(data.readUInt32LE(0)).toBe(data.length - 4);
    expect(data.readUInt32LE(4)).toBe(0x4c4d5953);
    expect(data.readUInt32LE(8)).toBe(0xa000000c);
    expect(data.readUInt16LE(14)).toBe(10);
    expect(data.readUInt32LE(24)).toBe(1);
    expect(data.toString('utf16le', 28, 28 + 18)).toBe('..\\target');
  });
});
