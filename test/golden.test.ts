/**
 * Ids are a function of configuration and path. Mounted clients hold the values of the golden file in their caches: if this
 * test fails, every client breaks once at the upgrade. Any change of the file needs a reason in its commit.
 */
import { execFile } from 'node:child_process';
import { statSync } from 'node:fs';
import { promisify } from 'node:util';
import { afterEach, expect, it } from 'vitest';
import { FuseTree, releasePath } from './kit/fuse.ts';

const run = promisify(execFile);
const dump = async (mountpoint: string) =>
  (await run(process.execPath, [new URL('golden/dump.mjs', import.meta.url).pathname, mountpoint])).stdout;

let fuse: FuseTree | undefined;
afterEach(() => fuse?.dispose());

it('ids, handles, cookies and times of a fixed tree are the same in two processes and after a remount', async () => {
  fuse = await FuseTree.start({
    releases: 3,
    extra: [
      { type: 'symlink', path: '/latest', target: '__all__' },
      { type: 'file', path: '/deep/2/3/4/5/6/7/8/9/10/11/12/file', size: 1, mtimeMs: Date.UTC(2024, 1, 1) },
      { type: 'file', path: '/näme – with spaces', size: 1, mtimeMs: Date.UTC(2024, 1, 1) },
    ],
  });
  const inode = statSync(fuse.path(releasePath(1, 'video.mkv'))).ino;
  const first = await dump(fuse.mountpoint);
  await expect(first).toMatchFileSnapshot('golden/identity.json');
  expect(await dump(fuse.mountpoint)).toBe(first);
  await fuse.kill();
  await fuse.mount();
  expect(await dump(fuse.mountpoint)).toBe(first);
  expect(statSync(fuse.path(releasePath(1, 'video.mkv'))).ino).not.toBe(inode);
});
