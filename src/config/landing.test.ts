import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { MountTable } from '../source/mount-table.ts';
import { landing } from './landing.ts';

let folder: string;
let mounts: MountTable;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'holdfast-landing-')));
  mkdirSync(join(folder, 'a/b'), { recursive: true });
  mounts = new MountTable(
    [
      '10 1 8:1 / / rw - ext4 /dev/vda rw',
      `20 10 0:40 / ${folder}/fuse rw - fuse.decypharr decypharr rw`,
    ].join('\n'),
  );
});
afterEach(() => rmSync(folder, { recursive: true }));

it('follows symlinks to where a path leads', () => {
  symlinkSync('a/b', join(folder, 'deep'));
  symlinkSync('..', join(folder, 'a/b/up'));
  expect(landing('/', mounts)).toBe('/');
  expect(landing(join(folder, 'deep'), mounts)).toBe(join(folder, 'a/b'));
  expect(landing(join(folder, 'deep/up/b'), mounts)).toBe(join(folder, 'a/b'));
});

it('ends at a FUSE mount without a look at it', () => {
  symlinkSync(join(folder, 'fuse/__all__'), join(folder, 'link'));
  // Nothing is there: a look would fail.
  expect(landing(join(folder, 'fuse'), mounts)).toBeUndefined();
  expect(landing(join(folder, 'link/x'), mounts)).toBeUndefined();
});

it('fails for what does not exist, and for a loop', () => {
  symlinkSync('loop', join(folder, 'loop'));
  expect(() => landing(join(folder, 'gone'), mounts)).toThrow(expect.objectContaining({ code: 'ENOENT' }));
  expect(() => landing(join(folder, 'loop'), mounts)).toThrow(expect.objectContaining({ code: 'ELOOP' }));
});
