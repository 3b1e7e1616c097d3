import { mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeFolder, missingFolders } from './folder.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-folder-'));
  mkdirSync(join(folder, 'there'));
  writeFileSync(join(folder, 'file'), '');
  symlinkSync(join(folder, 'nowhere'), join(folder, 'link'));
  symlinkSync(join(folder, 'there'), join(folder, 'good'));
});
afterAll(() => rmSync(folder, { recursive: true }));

it('makes each missing level, for this user alone', () => {
  const path = join(folder, 'good', 'a', 'b');
  expect(missingFolders(path)).toEqual({
    inside: join(folder, 'good'),
    missing: [join(folder, 'good', 'a'), path],
  });
  makeFolder(path);
  makeFolder(path);
  expect(statSync(join(folder, 'there', 'a', 'b')).mode & 0o777).toBe(0o700);
});

it.each([
  ['file', /\/file is not a folder$/],
  ['file/a/b', /\/file is not a folder$/],
  ['link', /\/link is a link to something that does not exist$/],
  ['link/a', /\/link is a link to something that does not exist$/],
])('refuses %s in plain words', (path, message) => {
  expect(() => makeFolder(join(folder, path))).toThrow(message);
});

it('ends where the system makes no folder', () => {
  expect(() => makeFolder('/proc/nope/nope')).toThrow('the folder /proc/nope cannot be made');
});
