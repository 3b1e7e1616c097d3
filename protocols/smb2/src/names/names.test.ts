import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StatusError } from '../errors.ts';
import { fromPosixWireName, fromWireName, toPosixWireName, toWireName } from './characters.ts';
import { foldName } from './fold.ts';
import { parsePath, sentBehind } from './path-name.ts';
import { matcher } from './wildcard.ts';

/** Names that a directory may contain, mostly of special characters. */
const backendName = fc
  .string({
    unit: fc.oneof(
      fc.constantFrom('\\', ':', '"', '*', '?', '.', ' ', '\x01', '\x1f', 'a', 'é', 'e\u0301', '\uf07e'),
      fc.integer({ min: 0xf000, max: 0xf080 }).map((code) => String.fromCharCode(code)),
      fc.string({ minLength: 1, maxLength: 1 }),
    ),
    minLength: 1,
    maxLength: 40,
  })
  .filter((name) => !/[\0/]/.test(name) && name !== '.' && name !== '..');

describe('names', () => {
  it('map what Windows forbids there and back', () => {
    fc.assert(
      fc.property(backendName, (name) => {
        const wire = toWireName(name);
        expect(fromWireName(wire)).toBe(name);
        // eslint-disable-next-line no-control-regex -- control characters are what it maps
        expect(wire).not.toMatch(/[\x00-\x1f"*:<>?|\\]|[. ]$/);
        expect(parsePath(`a\\${wire}`, false).names).toEqual(['a', name]);
        expect(fromPosixWireName(toPosixWireName(name))).toBe(name);
        expect(parsePath(`a\\${toPosixWireName(name)}`, true).names).toEqual(['a', name]);
      }),
    );
    expect(toWireName('Film: One?')).toBe('Film\uf022 One\uf025');
  });

  it('split into components and streams', () => {
    expect(parsePath('', false)).toEqual({ names: [], stream: undefined });
    expect(parsePath('a\\b:s:$DATA', false)).toMatchObject({ names: ['a', 'b'], stream: 's' });
    expect(parsePath('a::$DATA', false)).toMatchObject({ names: ['a'], stream: undefined, isContent: true });
    expect(parsePath('a/b', false)).toMatchObject({ names: ['a', 'b'], stream: undefined });
    expect(parsePath('a:b', true)).toMatchObject({ names: ['a:b'], stream: undefined });
  });

  it.each([
    '\\a',
    'a\\\\b',
    'a\\..\\b',
    '..',
    '.',
    'a//b',
    '/a',
    'a*',
    'a:b:c',
    'a:b:$DATA:d',
    'a\0b',
    '\uf029',
    '\uf029.',
    'x'.repeat(256),
  ])('refuse %j', (path) => expect(() => parsePath(path, false)).toThrow(StatusError));
});

describe('wildcards', () => {
  it.each([
    ['*', 'anything', true],
    ['*.txt', 'a.TXT', true],
    ['*.txt', 'a.txt.bak', false],
    ['a?c', 'abc', true],
    ['a?c', 'ac', false],
    ['a>c', 'abc', true],
    ['a>', 'a', true],
    ['<.txt', 'a.b.txt', true],
    ['<.t', 'a.b.txt', false],
    ['<', 'no dot', true],
    ['a"', 'a', true],
    ['a"b', 'a.b', true],
    ['a*b*c*d*e', 'a'.repeat(200), false],
    ['*.*', 'nodot', false],
  ])('%j against %j', (pattern, name, expected) => expect(matcher(pattern)(name)).toBe(expected));

  it('take time in proportion, not exponentially', () => {
    const started = performance.now();
    matcher('*a'.repeat(60))('a'.repeat(255));
    expect(performance.now() - started).toBeLessThan(500);
  });
});

describe('the rest of a path behind a component', () => {
  it.each([
    ['a\\b\\c', 0, '\\b\\c'],
    ['a\\b\\c', 1, '\\c'],
    ['a\\b\\c', 2, ''],
    ['a/\uf022/c', 1, '/c'],
  ])('%j behind %i', (path, component, rest) => expect(sentBehind(path, component)).toBe(rest));
});

describe('the fold', () => {
  it('is that of Unicode, for every character', () => {
    for (let code = 1; code <= 0x1ffff; code++) {
      if (code >= 0xd800 && code <= 0xdfff) continue;
      const character = String.fromCodePoint(code);
      const folded = foldName(character);
      if (folded === character || character.normalize('NFC') !== character) continue;
      // With these flags a regular expression uses simple case folding.
      expect(RegExp(`^\\u{${code.toString(16)}}$`, 'iu').test(folded), code.toString(16)).toBe(true);
    }
    for (const [one, other] of ['sſ', 'kK', 'ßẞ', 'σς', 'µμ', 'ǅǆ'].map((pair) => Array.from(pair)))
      expect(foldName(one!)).toBe(foldName(other!));
    for (const [one, other] of [
      ['straße', 'STRASSE'],
      ['ı', 'I'],
      ['İ', 'i'],
    ] as const)
      expect(foldName(one)).not.toBe(foldName(other));
  });

  it('composes', () => {
    expect(foldName('Re\u0301sume\u0301')).toBe(foldName('rÉSUMÉ'));
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (name) => {
        expect(foldName(name.normalize('NFD'))).toBe(foldName(name.normalize('NFC')));
      }),
    );
  });
});
