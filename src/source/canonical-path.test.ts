import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { canonicalPath } from './canonical-path.ts';
import { createLanes } from './lanes.ts';

const lane = createLanes({ exports: 1 }).probe;
let folder: string;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'holdfast-canonical-')));
  mkdirSync(join(folder, 'a/b'), { recursive: true });
});
afterEach(() => rmSync(folder, { recursive: true }));

it.each([
  ['a plain path', 'a/b', 'a/b'],
  ['a relative link', 'relative/b', 'a/b'],
  ['an absolute link', 'absolute', 'a/b'],
  ['a link through its parent, which is a link itself', 'deep/up', 'a'],
  ['a link to what does not exist', 'dangling/x', 'gone/x'],
])('follows %s', async (_, path, expected) => {
  symlinkSync('./a/', join(folder, 'relative'));
  symlinkSync(join(folder, 'a/b'), join(folder, 'absolute'));
  symlinkSync('a/b', join(folder, 'deep'));
  symlinkSync('..', join(folder, 'a/b/up'));
  symlinkSync('gone', join(folder, 'dangling'));
  expect(await canonicalPath(join(folder, path), lane)).toBe(join(folder, expected));
});

it('gives the root an empty path, and ends at a loop', async () => {
  expect(await canonicalPath('/', lane)).toBe('');
  symlinkSync('loop', join(folder, 'loop'));
  expect(await canonicalPath(join(folder, 'loop/x'), lane)).toBe(join(folder, 'loop/x'));
});
