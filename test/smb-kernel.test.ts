/** The Linux kernel's cifs client on the FUSE tree that reports no links, new inode numbers and the clock. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { contentDigest, contentSeed, FuseTree, MIB, releaseName, releasePath } from './kit/fuse.ts';
import { Gateway } from './kit/gateway.ts';
import { failsReadsInFlight, titledKernels } from './kit/kernels.ts';
import { KernelClient, type GuestJob } from './kit/uml.ts';

const RELEASES = 2_000;
const VIDEO = 64 * MIB;
const SMB_PORT = 1445;
const USERS_PORT = 1446;
const NFS_PORT = 12_049;
const mount = '/mnt/c';
const nfsMount = '/mnt/n';
/** Names that SMB cannot carry as they are. */
const odd = ['a "b": c?*.mkv', '<d> | e', 'dot.', 'space ', 'Ünï ✓ 😀.mkv'].map((name) => ({
  type: 'file' as const,
  path: `/__bad__/${name}`,
  size: 5000,
}));
/** The names alone: busybox's ls asks for the attributes of each. */
const names = `find ${mount}/__all__ -mindepth 1 -maxdepth 1`;
// Debian's own kernels have UTF-8 by default; this one has ISO 8859-1.
const recommended = 'guest,username=guest,hard,vers=3.1.1,echo_interval=10,actimeo=5,iocharset=utf8';
/** The mounter that this project takes over brings this line: not a letter of it may have to change. */
const inherited = 'guest,uid=0,gid=0,file_mode=0755,dir_mode=0755,vers=3.0';
/** What mount.cifs, which the guest system lacks, hands to the kernel for `guest`. */
const asMountCifs = (options: string) => options.replace(/^guest,/, 'guest,user=,pass=,');

let fuse: FuseTree;
let client: KernelClient;
let gateway: Gateway;
/** One whose share `shelf` is for users only; `dfs` is for guests. */
let forUsers: Gateway;
let folder: string;

const serve = () => {
  const [smb, nfs, admin] = [`0.0.0.0:${SMB_PORT}`, `0.0.0.0:${NFS_PORT}`, '127.0.0.1:0'];
  const args = ['serve', fuse.mountpoint, '--name', 'dfs', '--smb', smb, '--nfs', nfs, '--admin', admin];
  return Gateway.start({ args, netns: client.netns });
};
const mountCifs = (mountpoint: string, options: string, share = 'dfs', port = SMB_PORT) =>
  client.mountCifs({ port, share, mountpoint, options });
const digest = (path: string) => contentDigest(contentSeed(path), VIDEO);

/** Opens a video, reads 4 MiB, marks `open`, waits for `flag`, reads the rest and prints the sum of it all. */
const reader = (path: string, flag: string): GuestJob =>
  client.spawn(
    `exec 3< ${mount}${path}; dd bs=1M count=4 <&3 2>/dev/null > /tmp/${flag}.part; mark open; await_flag ${flag}
     cat <&3 >> /tmp/${flag}.part; sha256sum < /tmp/${flag}.part; rm /tmp/${flag}.part`,
  );
async function readsAll(job: GuestJob, path: string): Promise<void> {
  const { code, stdout, stderr } = await job.result;
  expect([code, stdout.split(' ')[0]], stderr + client.console(10)).toEqual([0, digest(path)]);
}

describe.each(await titledKernels())('Linux %s', (_, kernel) => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'holdfast-smb-kernel-'));
    [fuse, client] = await Promise.all([
      FuseTree.start({
        releases: RELEASES,
        extra: [{ type: 'symlink', path: '/latest', target: '__all__' }, ...odd],
      }),
      KernelClient.start({ kernel }),
    ]);
    writeFileSync(
      join(folder, 'holdfast.yaml'),
      `exports:
  dfs: { path: ${fuse.mountpoint} }
  shelf: { path: ${fuse.mountpoint}, smb: { users: [{ name: media, passwordEnv: SHELF_PASSWORD }] } }
smb: { listen: "0.0.0.0:${USERS_PORT}" }
nfs: { listen: "127.0.0.1:0" }
admin: { listen: "127.0.0.1:0" }
`,
    );
    const args = ['serve', '--config', join(folder, 'holdfast.yaml')];
    const env = { SHELF_PASSWORD: 'pass word' };
    [gateway, forUsers] = await Promise.all([serve(), Gateway.start({ args, env, netns: client.netns })]);
    await mountCifs(mount, recommended);
    await client.mountNfs({ port: NFS_PORT, export: '/dfs', mountpoint: nfsMount });
  }, 60_000);

  afterAll(async () => {
    await client.dispose();
    // The client's end has killed both: one after the other, the second could be gone before its end is known.
    await Promise.all([gateway.kill(), forUsers.kill()]);
    await fuse.dispose();
    rmSync(folder, { recursive: true });
  });

  describe('the Linux kernel client, over SMB', () => {
    it('lists 2,000 releases with everything in them', async () => {
      const lines = (await client.output(`ls -lR ${mount}/__all__`, 120_000)).split('\n');
      const files = lines.filter((line) => line.startsWith('-'));
      expect(lines.filter((line) => line.startsWith('d'))).toHaveLength(RELEASES);
      expect(files).toHaveLength(2 * RELEASES);
      expect(files.filter((line) => line.includes(` ${VIDEO} `))).toHaveLength(RELEASES);
    }, 150_000);

    it('sees the inode numbers that NFS sees, links, and one device, and they stay', async () => {
      const places = [
        '',
        '/__all__',
        releasePath(3),
        releasePath(3, 'video.mkv'),
        releasePath(4, 'video.mkv'),
      ];
      const stat = async (where: string) => {
        const paths = places.map((path) => where + path).join(' ');
        const text = await client.output(`stat -c '%i %h %d %s %Y' ${paths}`);
        return text
          .trim()
          .split('\n')
          .map((line) => line.split(' '));
      };
      const [smb, nfs] = [await stat(mount), await stat(nfsMount)];
      expect(smb.map(([inode]) => inode)).toEqual(nfs.map(([inode]) => inode));
      expect(smb.map(([, , , size]) => size).slice(3)).toEqual([String(VIDEO), String(VIDEO)]);
      expect(smb.map(([, , , , mtime]) => mtime)).toEqual(nfs.map(([, , , , mtime]) => mtime));
      expect(new Set(smb.map(([, , device]) => device)).size).toBe(1);
      for (const [, links] of smb) expect(Number(links)).toBeGreaterThanOrEqual(1);
      await client.output('echo 3 > /proc/sys/vm/drop_caches');
      expect(await stat(mount)).toEqual(smb);
      expect(await client.output(`ls -i ${mount}${releasePath(3)}`)).toContain(`${smb[3]![0]!} video.mkv`);
    });

    it('reads a 64 MiB file byte for byte', async () => {
      const path = releasePath(7, 'video.mkv');
      expect((await client.output(`sha256sum < ${mount}${path}`)).split(' ')[0]).toBe(digest(path));
    });

    it('finds a name in other letters, as SMB servers do', async () => {
      expect(await client.output(`cmp ${mount}/VERSION.TXT ${mount}/version.txt && echo same`)).toBe(
        'same\n',
      );
      const release = releasePath(3).replace('/__all__', '/__ALL__').replace('Some', 'some');
      expect(await client.output(`stat -c %s ${mount}${release}/Video.mkv`)).toBe(`${VIDEO}\n`);
    });

    it('opens what it lists, whatever the name', async () => {
      const each = (where: string) => `cd ${where}/__bad__; for f in *; do echo "$f"; sha256sum < "$f"; done`;
      const text = await client.output(each(mount));
      expect(text).toBe(await client.output(each(nfsMount)));
      for (const { path, size } of odd) {
        expect(text).toContain(
          `${path.slice('/__bad__/'.length)}\n${contentDigest(contentSeed(path), size)}  -\n`,
        );
      }
    });

    it('reads a symlink, and knows how much the filesystem holds', async () => {
      expect(await client.output(`readlink ${mount}/latest`)).toBe('__all__\n');
      expect(await client.output(`cd ${mount}/latest && ls ${releaseName(2)}`)).toContain('video.mkv');
      expect(await client.output(`df -k ${mount}`)).toMatch(/10\.99\.0\.1\/dfs\s+[1-9]\d+/);
    });

    it('cannot change anything', async () => {
      const file = mount + releasePath(1, 'video.mkv');
      for (const command of [
        `echo x > ${mount}/new`,
        `echo x >> ${file}`,
        `rm ${file}`,
        `mkdir ${mount}/d`,
        `rmdir ${mount}/__bad__`,
        `mv ${file} ${file}.2`,
        `ln ${file} ${mount}/h`,
        `touch ${file}`,
        `truncate -s 0 ${file}`,
      ]) {
        const { code, stderr } = await client.run(command);
        expect(code, command).not.toBe(0);
        expect(stderr, command).toMatch(/Read-only file system|Permission denied|Operation not permitted/);
      }
    });

    it('sees a release within 10 s of its being added behind everybody’s back, and misses one removed', async () => {
      await client.output(`${names} > /dev/null`);
      const since = Date.now();
      await fuse.add({ type: 'file', path: '/__all__/New.Release/new.mkv', size: 1000 });
      await fuse.remove(releasePath(5));
      const seen = `${names} > /tmp/now; grep -q New.Release /tmp/now && ! grep -q ${releaseName(5)} /tmp/now`;
      await client.output(`until { ${seen}; }; do sleep 0.1; done`, 30_000);
      expect(Date.now() - since).toBeLessThan(10_000);
      expect(await client.output(`stat -c %s ${mount}/__all__/New.Release/new.mkv`)).toBe('1000\n');
    });

    it('reads by both protocols at once', async () => {
      const path = releasePath(13, 'video.mkv');
      const sums = await client.output(
        `sha256sum < ${mount}${path} > /tmp/1 & sha256sum < ${nfsMount}${path} > /tmp/2 & wait; cat /tmp/1 /tmp/2`,
      );
      expect(sums.trim().split('\n')).toEqual([`${digest(path)}  -`, `${digest(path)}  -`]);
      expect(await client.output(`cmp ${mount}/version.txt ${nfsMount}/version.txt && echo same`)).toBe(
        'same\n',
      );
    });
  });

  it('gives the kernel nothing to complain of', async () => {
    expect(await client.output("dmesg | grep -E 'CIFS: VFS|NFS: server|fileid' || true")).toBe('');
  });

  describe('every way to mount', () => {
    const path = releasePath(17, 'video.mkv');
    const user = "username=media,password='pass word',nosharesock";

    async function works(
      options: string,
      share: string,
      port: number,
      more = () => Promise.resolve(),
    ): Promise<void> {
      await mountCifs('/mnt/m', options, share, port);
      try {
        const stdout = await client.output(
          `set -e; ls /mnt/m; stat -c '%s %h' /mnt/m${path}; head -c ${2 * MIB} /mnt/m${path} | sha256sum`,
        );
        const lines = stdout.trim().split('\n');
        expect(lines.slice(0, -2)).toEqual([
          '__all__',
          '__bad__',
          'latest',
          'nzbs',
          'torrents',
          'version.txt',
        ]);
        expect(lines.at(-2)).toBe(`${VIDEO} 1`);
        expect(lines.at(-1)!.split(' ')[0]).toBe(contentDigest(contentSeed(path), 2 * MIB));
        await more();
      } finally {
        await client.umountCifs('/mnt/m');
      }
    }

    it.each([
      'guest,username=guest,vers=2.1',
      'guest,username=guest,vers=3.0',
      'guest,username=guest,vers=3.0.2',
      'guest,username=guest,vers=3.1.1',
      'guest,username=guest',
      'sec=none,vers=3.1.1',
      asMountCifs(inherited),
    ])('%s', async (options) => {
      await works(`${options},nosharesock`, 'dfs', SMB_PORT);
    });

    it('with modes, and letters that count, for posix', async () => {
      await works('guest,username=guest,vers=3.1.1,posix,nosharesock', 'dfs', SMB_PORT, async () => {
        // Of a file that it opens this kernel asks the mode no more.
        const paths = '/mnt/m /mnt/m/latest /mnt/m/version.txt';
        expect(await client.output(`stat -c '%F %a' ${paths}`)).toBe(
          'directory 755\nsymbolic link 777\nregular file 644\n',
        );
        expect((await client.run('stat /mnt/m/VERSION.TXT')).stderr).toContain('No such file');
        expect(await client.output('df -k /mnt/m')).toMatch(/10\.99\.0\.1\/dfs\s+[1-9]\d+/);
      });
    });

    it('as a guest of a gateway that knows users as well', async () => {
      await works(asMountCifs(inherited), 'dfs', USERS_PORT);
    });

    it.each([
      'sec=ntlmssp,vers=2.1',
      'sec=ntlmssp,vers=3.0',
      'sec=ntlmssp,vers=3.1.1',
      'sec=ntlmsspi,vers=2.1',
      'sign,vers=3.0',
      'sign,vers=3.1.1',
      'seal,vers=3.0',
      'seal,vers=3.1.1',
      'noserverino,vers=3.1.1',
      'cache=none,rsize=65536,vers=3.1.1',
    ])('as a user: %s', async (options) => {
      await works(`${user},${options}`, 'shelf', USERS_PORT);
    });

    it.each(['username=media,password=wrong', 'username=nobody,password=x', 'user=,pass='])(
      'not with %s',
      async (who) => {
        const mounting = mountCifs('/mnt/refused', `${who},vers=3.1.1,nosharesock`, 'shelf', USERS_PORT);
        await expect(mounting).rejects.toThrow(/Permission denied/);
      },
    );

    it('not what is not there', async () => {
      const mounting = mountCifs('/mnt/refused', 'guest,username=guest,vers=3.1.1', 'nothing');
      await expect(mounting).rejects.toThrow(/No such file or directory/);
    });
  });

  describe('outages', () => {
    it('goes on with an open file when the gateway is killed and started anew', async () => {
      const path = releasePath(9, 'video.mkv');
      const job = reader(path, 'restarted');
      await job.marked('open');
      await gateway.kill();
      gateway = await serve();
      client.flag('restarted');
      await readsAll(job, path);
      expect(await client.output(`${names} | wc -l`)).toBe(`${RELEASES}\n`);
    });

    it('goes on when the gateway is killed in the middle of a read', async () => {
      const path = releasePath(21, 'video.mkv');
      const sum = `sha256sum < ${mount}${path}`;
      await fuse.setLatency({ read: 10 });
      const job = client.spawn(`mark started; ${failsReadsInFlight(kernel) ? `${sum} || ${sum}` : sum}`);
      await job.marked('started');
      await new Promise((resolve) => setTimeout(resolve, 500));
      await gateway.kill();
      await fuse.setLatency({});
      gateway = await serve();
      await readsAll(job, path);
    });

    it('reads on after the FUSE daemon was killed and mounted again with other inode numbers', async () => {
      const path = releasePath(11, 'video.mkv');
      const job = reader(path, 'again');
      await job.marked('open');
      await fuse.kill();
      client.flag('again');
      await fuse.mount();
      await readsAll(job, path);
    });
  });

  it('found nothing that the gateway calls a bug', () => {
    expect([...gateway.errors(), ...forUsers.errors()]).toEqual([]);
  });
});
