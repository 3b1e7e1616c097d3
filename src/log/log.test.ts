import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { createLogger, LineThrottle, renderName } from './index.ts';

const bytes = (text: string) => Buffer.from(text, 'utf8').toString('latin1');

describe('renderName', () => {
  it.each([
    ['plain.mkv', 'plain.mkv'],
    [bytes('Amélie 名前 🎬'), 'Amélie 名前 🎬'],
    ['a\nb\r\t\0\x1b[31m', 'a\\x0ab\\x0d\\x09\\x00\\x1b[31m'],
    ['back\\slash', 'back\\\\slash'],
    ['\xff\xfe caf\xe9', '\\xff\\xfe caf\\xe9'],
    [`${bytes('é')}\xc3`, 'é\\xc3'],
    [
      bytes('right\u202eleft\u2028line\u200bzero\ufeff'),
      'right\\u{202e}left\\u{2028}line\\u{200b}zero\\u{feff}',
    ],
    [bytes('\u0085'), '\\u{85}'],
    // Overlong forms and surrogates are not UTF-8 (RFC 3629 §3).
    ['\xc0\xaf\xed\xa0\x80', '\\xc0\\xaf\\xed\\xa0\\x80'],
  ])('%j is shown as %s', (name, text) => {
    expect(renderName(name)).toBe(text);
  });

  it('is bounded', () => {
    expect(renderName('x'.repeat(100_000))).toBe(`${'x'.repeat(1024)}…`);
    expect(renderName('\xff'.repeat(100_000))).toHaveLength(1025);
  });

  it('keeps different names apart and on one line', () => {
    const name = fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array).toString('latin1'));
    fc.assert(
      fc.property(name, name, (one, other) => {
        expect(renderName(one)).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
        if (one !== other) expect(renderName(one)).not.toBe(renderName(other));
      }),
    );
  });
});

describe('LineThrottle', () => {
  it('admits so many lines in a minute, and says then how many were left out', () => {
    vi.useFakeTimers();
    try {
      const throttle = new LineThrottle(2);
      expect([1, 2, 3, 4].map(() => throttle.admit())).toEqual([{}, {}, undefined, undefined]);
      vi.advanceTimersByTime(60_000);
      expect([throttle.admit(), throttle.admit()]).toEqual([{ omitted: 2 }, {}]);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('createLogger', () => {
  function capture() {
    const lines: string[] = [];
    return { lines, destination: { write: (line: string) => void lines.push(line) } };
  }

  it('writes one JSON object for each line, from its level on', () => {
    const { lines, destination } = capture();
    const log = createLogger('warn', { destination });
    log.info('not this');
    log.warn({ export: 'dfs' }, 'source down');
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0]!)).toMatchObject({ level: 40, export: 'dfs', msg: 'source down' });
  });

  it('writes no secrets', () => {
    const { lines, destination } = capture();
    const log = createLogger('info', { destination });
    log.info({ password: 'hunter2', user: { ntHash: 'hunter2', deep: { secret: 'hunter2' } } }, 'session');
    expect(lines[0]).not.toContain('hunter2');
    expect(lines[0]).toContain('[redacted]');
  });
});
