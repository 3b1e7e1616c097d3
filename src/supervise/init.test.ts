import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findInit, type Init } from './init.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-init-'));
  for (const [name, text] of [
    ['works', '#!/bin/sh\nexec "$@"\n'],
    ['broken', '#!/bin/sh\nexit 125\n'],
    ['data', ''],
  ] as const) {
    writeFileSync(join(folder, name), text);
    chmodSync(join(folder, name), name === 'data' ? 0o644 : 0o755);
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const candidates = (...programs: string[]): Init[] =>
  programs.map((program) => ({ program, args: [], subreaper: true }));

describe('findInit', () => {
  it('takes the first that can run this Node.js', () => {
    const path = ['/not/there', folder].join(delimiter);
    const found = findInit(candidates('missing', 'data', 'broken', 'works'), path);
    expect(found).toEqual({ file: join(folder, 'works'), args: [] });
  });

  it('finds none where none works', () => {
    expect(findInit(candidates('missing', 'broken'), folder)).toBeUndefined();
  });
});
