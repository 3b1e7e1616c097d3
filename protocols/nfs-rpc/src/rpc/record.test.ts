import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { MalformedError } from '../xdr/error.ts';
import { markRecord, RecordReader } from './record.ts';

function readAll(chunks: readonly Buffer[], maxRecord = 1 << 20, maxFragments = 64): Buffer[] {
  const reader = new RecordReader(maxRecord, maxFragments);
  const records: Buffer[] = [];
  for (const chunk of chunks) {
    reader.push(chunk);
    for (let r = reader.next(); r !== undefined; r = reader.next()) {
      records.push(Buffer.from(r.buffer.subarray(r.start, r.end)));
    }
  }
  expect(reader.partial).toBe(false);
  return records;
}

const mark = (last: boolean, length: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(((last ? 0x8000_0000 : 0) | length) >>> 0);
  return bytes;
};

describe('record marking (RFC 5531 §11)', () => {
  it('writes and reads the mark of a last fragment', () => {
    expect(markRecord(Buffer.from('abc')).toString('hex')).toBe('80000003616263');
    expect(markRecord(Buffer.from('abc'), 2).toString('hex')).toBe('0000000261628000000163');
    expect(readAll([Buffer.from('0000000261628000000163', 'hex')])).toEqual([Buffer.from('abc')]);
  });

  it('gives the same records however the stream is cut and fragmented', () => {
    const record = fc.uint8Array({ maxLength: 40 }).map((data) => Buffer.from(data));
    const part = fc.tuple(record, fc.integer({ min: 1, max: 41 }));
    fc.assert(
      fc.property(
        fc.array(part, { maxLength: 6 }),
        fc.array(fc.nat(300), { maxLength: 20 }),
        (parts, cuts) => {
          const stream = Buffer.concat(parts.map(([bytes, fragment]) => markRecord(bytes, fragment)));
          const at = [...new Set([0, ...cuts.filter((cut) => cut < stream.length), stream.length])].sort(
            (a, b) => a - b,
          );
          const chunks = at.slice(1).map((end, index) => stream.subarray(at[index], end));
          expect(readAll(chunks)).toEqual(parts.map(([bytes]) => bytes));
        },
      ),
    );
  });

  it('reads a stream split at every single byte', () => {
    const records = [Buffer.from('first record'), Buffer.alloc(0), Buffer.from('second')];
    const stream = Buffer.concat(records.map((record) => markRecord(record, 5)));
    for (let cut = 0; cut <= stream.length; cut++) {
      expect(readAll([stream.subarray(0, cut), stream.subarray(cut)])).toEqual(records);
    }
    expect(readAll(Array.from(stream, (byte) => Buffer.of(byte)))).toEqual(records);
  });

  it('hands out a whole record in place, and keeps later input for later', () => {
    const reader = new RecordReader(100, 4);
    const chunk = Buffer.concat([markRecord(Buffer.from('one')), markRecord(Buffer.from('two'))]);
    reader.push(chunk);
    expect(reader.next()).toEqual({ buffer: chunk, start: 4, end: 7 });
    expect(reader.hasInput).toBe(true);
    reader.push(markRecord(Buffer.from('three')));
    const texts = [reader.next()!, reader.next()!].map(({ buffer, start, end }) =>
      buffer.toString('latin1', start, end),
    );
    expect(texts).toEqual(['two', 'three']);
    expect(reader.next()).toBeUndefined();
  });

  it('bounds the record, also when fragments add up, and the fragments, also empty ones', () => {
    expect(() => readAll([mark(true, 101)], 100)).toThrow(MalformedError);
    expect(() => readAll([mark(true, 0x7fff_ffff)], 100)).toThrow(MalformedError);
    expect(() => readAll([mark(false, 60), Buffer.alloc(60), mark(true, 41)], 100)).toThrow(MalformedError);
    const empty = Array.from({ length: 5 }, () => mark(false, 0));
    expect(() => readAll(empty, 100, 4)).toThrow(MalformedError);
    expect(readAll([...empty.slice(2), markRecord(Buffer.from('x'))], 100, 4)).toEqual([Buffer.from('x')]);
  });

  it('holds no more memory than has arrived', () => {
    const before = process.memoryUsage().arrayBuffers;
    const readers = Array.from({ length: 200 }, () => {
      const reader = new RecordReader(1 << 20, 4);
      reader.push(Buffer.concat([mark(true, 1 << 20), Buffer.alloc(10)]));
      reader.next();
      return reader;
    });
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 << 20);
    expect(readers.every((reader) => reader.partial)).toBe(true);
  });
});
