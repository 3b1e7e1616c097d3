import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromText } from '../tree/names.ts';
import { bytesOf, textOf } from './names.ts';

const bytes = (...parts: readonly (string | number)[]): string =>
  parts.map((part) => (typeof part === 'number' ? String.fromCharCode(part) : fromText(part))).join('');

describe('names between bytes and text', () => {
  it('are the same for what is UTF-8', () => {
    for (const name of ['film.mkv', 'Ünï', '映画', '🎬', 'cafe\u0301']) {
      expect(textOf(fromText(name))).toBe(name);
      expect(bytesOf(name)).toBe(fromText(name));
    }
  });

  it('keep what is not', () => {
    expect(textOf(bytes('a', 0xe9, '.mkv'))).toBe('a\uf7e9.mkv');
    expect(bytesOf('a\uf7e9.mkv')).toBe(bytes('a', 0xe9, '.mkv'));
    // A character of the private range that stands for stray bytes is itself written as its bytes.
    expect(textOf(bytes('\uf7e9'))).toBe('\uf7ef\uf79f\uf7a9');
    // The replacement character itself is valid UTF-8.
    expect(textOf(bytes('\ufffd'))).toBe('\ufffd');
    // Overlong and truncated sequences are not UTF-8.
    expect(textOf(bytes(0xc0, 0xaf))).toBe('\uf7c0\uf7af');
    expect(textOf(bytes('x', 0xf0, 0x9f, 0x8e))).toBe('x\uf7f0\uf79f\uf78e');
  });

  it('are one to one', () => {
    const name = fc.array(
      fc.oneof(
        fc.integer({ min: 1, max: 255 }).map((byte) => String.fromCharCode(byte)),
        fc.constantFrom('\uf780', '\uf7ff', '\ufffd', '映', '🎬').map(fromText),
      ),
      { minLength: 1, maxLength: 30 },
    );
    fc.assert(
      fc.property(name, (parts) => {
        const one = parts.join('');
        expect(bytesOf(textOf(one))).toBe(one);
      }),
      { numRuns: 2000 },
    );
  });

  it('do not exist for half a character', () => expect(bytesOf('a\ud83c')).toBeUndefined());
});
