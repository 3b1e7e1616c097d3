import { describe, expect, it } from 'vitest';
import { MountReader } from './mount-reader.ts';
import { SourceWatch, type Expectation } from './watch.ts';

const fuse = '30 1 0:30 / /mnt/dfs rw shared:1 - fuse dfs rw,user_id=0,group_id=0,allow_other\n';
const owned = fuse.replace(',allow_other', '');

async function reasonFor(expect: Expectation, table: string, code: string): Promise<string> {
  const failure = Object.assign(new Error(`${code}: lstat '/proc/self/fd/18/.holdfast-probe-1'`), { code });
  const watch = new SourceWatch({
    path: '/mnt/dfs',
    expect,
    mounts: new MountReader(() => Promise.resolve(table)),
    probe: () => Promise.reject(failure),
    onChange: () => undefined,
  });
  await watch.look();
  return watch.reason;
}

describe('the reason of a source that is down', () => {
  it.each<[string, Expectation, string, string, string]>([
    [
      'a daemon that has ended',
      'fuse',
      fuse,
      'ENOTCONN',
      'its daemon has ended: the mount answers only errors (ENOTCONN)',
    ],
    ['a server that is gone', 'plain', '', 'EHOSTDOWN', 'the mount answers only errors (EHOSTDOWN)'],
    ['a closed folder', 'plain', '', 'EACCES', `user ${process.getuid!()} may not enter /mnt/dfs`],
    [
      'a mount with allow_other in a closed folder',
      'fuse',
      fuse,
      'EACCES',
      `user ${process.getuid!()} may not enter /mnt/dfs`,
    ],
    [
      'another user’s mount',
      'fuse',
      owned,
      'EACCES',
      'the mount lacks the option allow_other: only the user who mounted it can read it',
    ],
  ])('names %s', async (_, expected, table, code, reason) => {
    expect(await reasonFor(expected, table, code)).toBe(reason);
  });
});
