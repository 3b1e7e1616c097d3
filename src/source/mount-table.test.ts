import { describe, expect, it } from 'vitest';
import { MountReader } from './mount-reader.ts';
import { allowsOthers, isFuse, maxRead, MountTable } from './mount-table.ts';

const text = `22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:26 / /mnt rw,relatime shared:9 - tmpfs tmpfs rw
41 30 0:45 / /mnt/dfs rw,nosuid,nodev,relatime shared:20 - fuse.decypharr decypharr rw,user_id=0,allow_other,max_read=1048576
42 30 0:300 / /mnt/with\\040space rw - fuse x rw
43 30 8:17 / /mnt/dfs-other rw - ext4 /dev/sdb1 rw
`;
const table = new MountTable(text);
const withLine = (line: string) => new MountTable(`${text}${line}\n`);

describe('the mount that a path leads to', () => {
  it('is the one at the path', () => {
    expect(table.at('/mnt/dfs')).toMatchObject({
      id: 41,
      device: 45,
      mountpoint: '/mnt/dfs',
      shared: true,
      type: 'fuse.decypharr',
      origin: 'decypharr',
    });
    expect(table.at('/mnt/with space')).toMatchObject({ shared: false, origin: 'x' });
    expect([table.has(45), table.has(46)]).toEqual([true, false]);
  });

  it('is the one that contains the path, not one with a similar name', () => {
    expect(table.at('/mnt/dfs/__all__')?.id).toBe(41);
    expect(table.at('/mnt/dfs-other/x')?.id).toBe(43);
    expect(table.at('/mnt/dfsx')?.id).toBe(30);
    expect(table.at('/')?.id).toBe(22);
  });

  it('is the topmost of several on one place', () => {
    expect(withLine('50 41 0:46 / /mnt/dfs rw - tmpfs tmpfs rw').at('/mnt/dfs')).toMatchObject({ id: 50 });
  });

  it('is not one that lies below another, mounted later over a parent', () => {
    const covered = withLine('60 30 0:50 / /mnt rw - tmpfs cover rw');
    expect(covered.at('/mnt/dfs')?.id).toBe(60);
    expect(covered.below('/mnt')).toEqual([]);
  });

  it('has its octal escapes undone, and large minors packed as stat does', () => {
    expect(table.at('/mnt/with space')).toMatchObject({ id: 42, device: 44 + 0x100000 });
  });

  it('is found in a chroot, where the mount of the root is not listed', () => {
    const inside = new MountTable(
      '41 30 0:45 / /mnt/dfs rw - fuse x rw\n42 41 0:46 / /mnt/dfs/in rw - fuse y rw\n',
    );
    expect(inside.at('/mnt/dfs/a')?.id).toBe(41);
    expect(inside.at('/mnt/dfs/in')?.id).toBe(42);
    expect(inside.at('/etc')).toBeUndefined();
  });

  it('is unknown when the table is empty or cut', () => {
    expect(new MountTable('').at('/mnt/dfs')).toBeUndefined();
    expect(new MountTable('41 30 0:45 / /mnt/dfs rw').at('/mnt/dfs')).toBeUndefined();
  });
});

it('lists what is visible below a path, outer mounts first', () => {
  const nested = withLine('70 41 0:60 / /mnt/dfs/a/b rw - fuse inner rw');
  expect(nested.below('/mnt/dfs').map(({ id }) => id)).toEqual([70]);
  expect(nested.below('/mnt').map(({ id }) => id)).toEqual([41, 70, 43, 42]);
});

it('knows FUSE file systems and their mount options', () => {
  expect(['fuse', 'fuseblk', 'fuse.decypharr'].every(isFuse)).toBe(true);
  expect(['ext4', 'fusectl', 'tmpfs'].some(isFuse)).toBe(false);
  const [dfs, other] = [table.at('/mnt/dfs')!, table.at('/mnt/with space')!];
  expect([maxRead(dfs), maxRead(other)]).toEqual([1048576, undefined]);
  expect([allowsOthers(dfs), allowsOthers(other)]).toEqual([true, false]);
});

describe('MountReader', () => {
  it('returns the same table while nothing has changed, and never one read before the call', async () => {
    let calls = 0;
    let current = text;
    const waiting: (() => void)[] = [];
    const reader = new MountReader(() => {
      calls += 1;
      const read = current;
      return new Promise((resolve) => waiting.push(() => resolve(read)));
    });
    const first = reader.fresh();
    current = '';
    const second = reader.fresh();
    const third = reader.fresh();
    waiting.shift()!();
    expect((await first).at('/mnt/dfs')?.id).toBe(41);
    await new Promise(setImmediate);
    waiting.shift()!();
    expect((await second).at('/mnt/dfs')).toBeUndefined();
    expect(await third).toBe(await second);
    expect(calls).toBe(2);
  });

  it('reads the real table through one descriptor', async () => {
    const reader = new MountReader();
    expect((await reader.fresh()).at('/')).toBeDefined();
    expect(await reader.fresh()).toBe(await reader.fresh());
  });
});
