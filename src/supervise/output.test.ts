import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LineReader, longestLine } from './output.ts';

function read(...chunks: (string | Buffer)[]): string[] {
  const lines: string[] = [];
  const reader = new LineReader((line) => lines.push(line));
  for (const chunk of chunks) reader.push(Buffer.from(chunk as string));
  reader.end();
  return lines;
}

describe('LineReader', () => {
  it('gives each line, and the last one at the end', () => {
    expect(read('one\ntw', 'o\r\n\nthree')).toEqual(['one', 'two', 'three']);
  });

  it('drops colours and controls', () => {
    expect(read('\x1b[31mred\x1b[0m\tand \x07bell\x9b\n')).toEqual(['red\tand bell']);
  });

  it('cuts what is too long, as soon as it is', () => {
    const lines: string[] = [];
    const reader = new LineReader((line) => lines.push(line));
    reader.push(Buffer.alloc(longestLine * 2 + 10, 'x'));
    expect(lines.map((line) => line.length)).toEqual([longestLine, longestLine]);
    reader.end();
    expect(lines[2]).toBe('x'.repeat(10));
  });

  it('does not care where chunks end', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 40 }), fc.nat(), (text, at) => {
        const bytes = Buffer.from(text);
        const cut = at % (bytes.length + 1);
        expect(read(bytes.subarray(0, cut), bytes.subarray(cut))).toEqual(read(bytes));
      }),
    );
  });
});
