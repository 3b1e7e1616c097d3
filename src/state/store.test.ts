import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { StateStore } from './store.ts';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'holdfast-state-'))));
afterEach(() => rmSync(folder, { recursive: true }));

async function* of(...lines: string[]) {
  for (const line of lines) yield await Promise.resolve(line);
}

describe('StateStore', () => {
  it('gives back what was written, in a folder it makes', async () => {
    const store = new StateStore(join(folder, 'a/b'));
    expect(store.readLines('x')).toBeUndefined();
    await store.writeLines('x', of('one', 'zwei – ÿ'));
    expect(store.readLines('x')).toEqual(['one', 'zwei – ÿ', '']);
  });

  it('keeps the old file when writing the new one fails', async () => {
    const store = new StateStore(folder);
    await store.writeLines('x', of('old'));
    const failing = async function* () {
      yield await Promise.resolve('new');
      throw new Error('disk full');
    };
    await expect(store.writeLines('x', failing())).rejects.toThrow('disk full');
    expect(store.readLines('x')).toEqual(['old', '']);
    expect(readdirSync(folder)).toEqual(['x']);
  });

  it('says what is wrong with a folder that cannot be', () => {
    writeFileSync(join(folder, 'file'), '');
    expect(() => new StateStore(join(folder, 'file/x'))).toThrow(/\/file is not a folder$/);
  });
});
