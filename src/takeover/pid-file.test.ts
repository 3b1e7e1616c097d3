import {
  existsSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { removePidFile, writePidFile } from './pid-file.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-pid-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const own = `${process.pid}\n`;

it('takes the place of an older one, and goes when it is ours', () => {
  const file = join(folder, 'pid');
  writeFileSync(file, '1\n');
  writePidFile(file);
  expect(readFileSync(file, 'utf8')).toBe(own);
  expect(readdirSync(folder)).toEqual(['pid']);
  removePidFile(file);
  expect(existsSync(file)).toBe(false);
  writeFileSync(file, '1\n');
  removePidFile(file);
  expect(readFileSync(file, 'utf8')).toBe('1\n');
});

it('writes through no link that somebody has put there, under whatever name', () => {
  const file = join(folder, 'pid');
  const victim = join(folder, 'victim');
  writeFileSync(victim, 'precious');
  symlinkSync(victim, file);
  symlinkSync(victim, `${file}.${process.pid}`);
  writePidFile(file);
  expect(readFileSync(victim, 'utf8')).toBe('precious');
  expect(lstatSync(file).isFile()).toBe(true);
  expect(readFileSync(file, 'utf8')).toBe(own);
});

it('leaves nothing behind when it cannot be written', () => {
  expect(() => writePidFile(folder)).toThrow(/EISDIR|ENOTEMPTY|EEXIST/);
  expect(
    readdirSync(join(folder, '..')).filter((name) => name.startsWith(`${folder.split('/').at(-1)!}.`)),
  ).toEqual([]);
});
