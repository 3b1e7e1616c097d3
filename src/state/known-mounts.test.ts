import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { KnownMounts } from './known-mounts.ts';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'holdfast-mounts-'))));
afterEach(() => rmSync(folder, { recursive: true }));

const make = () => new KnownMounts(folder, pino({ level: 'silent' }));

it('keeps the places of each export over restarts, whatever bytes they hold', async () => {
  const places = ['', '/a\xff\n', '/b/c'];
  await make().save('dfs', '/mnt/dfs', places);
  const later = make();
  expect(later.read('dfs', '/mnt/dfs')).toEqual(places);
  expect(later.read('other', '/mnt/dfs')).toEqual([]);
  await later.save('dfs', '/mnt/dfs', []);
  expect(make().read('dfs', '/mnt/dfs')).toEqual([]);
});

it('takes those of another path for none', async () => {
  await make().save('dfs', '/mnt/old', ['/a']);
  expect(make().read('dfs', '/mnt/new')).toEqual([]);
});

it('writes nothing where there never was a mount', async () => {
  await make().save('dfs', '/mnt/dfs', []);
  expect(readdirSync(folder)).toEqual([]);
});

it.each([
  '',
  'x',
  '{"holdfast":"mounts","version":1,"path":"/p"}\n"/a/../b"',
  '{"holdfast":"mounts","version":9}',
])('starts without them when the file holds %j', (text) => {
  writeFileSync(join(folder, 'mounts-dfs.jsonl'), text);
  expect(make().read('dfs', '/p')).toEqual([]);
});
