import { describe, expect, it } from 'vitest';
import { coveringMount, isFuse } from './mountinfo.ts';

const table = `22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:26 / /mnt rw,relatime shared:9 - tmpfs tmpfs rw
41 30 0:45 / /mnt/dfs rw,nosuid,nodev,relatime shared:20 - fuse.decypharr decypharr rw,user_id=0
42 30 0:300 / /mnt/with\\040space rw - fuse x rw
43 22 8:17 / /mnt/dfs-other rw - ext4 /dev/sdb1 rw
`;

describe('coveringMount', () => {
  it('finds the mount at the path', () => {
    expect(coveringMount(table, '/mnt/dfs')).toEqual({
      id: 41,
      device: 45,
      mountpoint: '/mnt/dfs',
      type: 'fuse.decypharr',
    });
  });

  it('finds the mount a path lies in, and is not misled by a common beginning', () => {
    expect(coveringMount(table, '/mnt/dfs/__all__')?.id).toBe(41);
    expect(coveringMount(table, '/mnt/dfs-other/x')?.id).toBe(43);
    expect(coveringMount(table, '/mnt/dfsx')?.id).toBe(30);
  });

  it('takes the topmost of two mounts on one place', () => {
    const stacked = `${table}50 41 0:46 / /mnt/dfs rw - tmpfs tmpfs rw\n`;
    expect(coveringMount(stacked, '/mnt/dfs')).toMatchObject({ id: 50, type: 'tmpfs' });
  });

  it('undoes the octal escapes and packs large minors as stat does', () => {
    expect(coveringMount(table, '/mnt/with space')).toMatchObject({ id: 42, device: 44 + 0x100000 });
  });

  it('says nothing when the table is empty or cut', () => {
    expect(coveringMount('', '/mnt/dfs')).toBeUndefined();
    expect(coveringMount('41 30 0:45 / /mnt/dfs rw', '/mnt/dfs')).toBeUndefined();
  });
});

it('knows the names of FUSE filesystems', () => {
  expect(['fuse', 'fuseblk', 'fuse.decypharr'].every(isFuse)).toBe(true);
  expect(['ext4', 'fusectl', 'tmpfs'].some(isFuse)).toBe(false);
});
