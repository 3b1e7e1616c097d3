import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { MalformedError } from '../wire/malformed.ts';
import { Framer } from './framer.ts';

const frame = (message: Buffer): Buffer => {
  const header = Buffer.alloc(4);
  header.writeUInt32BE(message.length);
  return Buffer.concat([header, message]);
};

describe('framer', () => {
  it('finds the messages however the stream is cut', () => {
    const message = fc.uint8Array({ minLength: 1, maxLength: 300 }).map((array) => Buffer.from(array));
    fc.assert(
      fc.property(
        fc.array(message, { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 97 })),
        (messages, cuts) => {
          const stream = Buffer.concat(messages.map(frame));
          const got: Buffer[] = [];
          const framer = new Framer(
            (one) => got.push(Buffer.from(one)),
            () => 1000,
          );
          let at = 0;
          for (const cut of [...cuts, stream.length]) {
            framer.push(stream.subarray(at, at + cut));
            at += cut;
          }
          expect(got).toEqual(messages);
        },
      ),
    );
  });

  it('refuses what is too long before it sizes anything', () => {
    const framer = new Framer(
      () => undefined,
      () => 1000,
    );
    expect(() => framer.push(Buffer.from([0, 0xff, 0xff, 0xff]))).toThrow(MalformedError);
  });

  it('refuses other frame types and skips keep-alives', () => {
    const got: Buffer[] = [];
    const framer = new Framer(
      (one) => got.push(one),
      () => 1000,
    );
    framer.push(Buffer.from([0x85, 0, 0, 0, 0, 0, 0, 1, 7]));
    expect(got).toEqual([Buffer.from([7])]);
    expect(() => framer.push(Buffer.from([0x81, 0, 0, 68]))).toThrow(MalformedError);
  });
});
