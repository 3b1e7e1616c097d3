import fc from 'fast-check';
import { expect, test } from 'vitest';
import { derContent, DerReader, encodeDer } from './der.ts';
import { AuthError } from './errors.ts';

test('lengths of one, two and three bytes come back', () => {
  fc.assert(
    fc.property(fc.constantFrom(0, 1, 127, 128, 255, 256, 65_535), (length) => {
      const content = Buffer.alloc(length, 0x5a);
      expect(derContent(encodeDer(0x04, content), 0x04).equals(content)).toBe(true);
    }),
  );
  expect(() => encodeDer(0x04, Buffer.alloc(65_536))).toThrow(RangeError);
});

test.each([
  ['nothing', ''],
  ['no length', '04'],
  ['indefinite length', '0480'],
  ['length of five bytes', '04850000000001aa'],
  ['length of 2^32 - 1', '0484ffffffffaa'],
  ['content past the end', '0402aa'],
  ['truncated length', '0482ff'],
  ['tag of several bytes', '1f0100'],
  ['another tag', '0501aa'],
  ['something behind it', '0401aaff'],
])('refuses %s', (_, bytes) => {
  expect(() => derContent(Buffer.from(bytes, 'hex'), 0x04)).toThrow(AuthError);
});

test('any bytes are read to their end or refused', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      const reader = new DerReader(Buffer.from(bytes));
      let read = 0;
      try {
        while (!reader.atEnd) read += reader.next().encoded.length;
        expect(read).toBe(bytes.length);
      } catch (error) {
        expect(error).toBeInstanceOf(AuthError);
      }
    }),
  );
});
