import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { makeDemoFolder } from './demo-folder.ts';

it('makes a media-like folder and leaves nothing behind', () => {
  const folder = makeDemoFolder();
  expect(readdirSync(folder.path).sort()).toEqual([
    '__all__',
    '__bad__',
    'latest',
    'nzbs',
    'torrents',
    'version.txt',
  ]);
  expect(statSync(join(folder.path, folder.sample)).size).toBeGreaterThan(1024 * 1024);
  folder.remove();
  folder.remove();
  expect(existsSync(folder.path)).toBe(false);
});
