/** The Linux kernel's cifs client on a FUSE tree with link count 0, changing inode numbers and "now" as mtime. */
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
/** Names with characters that SMB cannot transmit unchanged. */
const odd = ['a "b": c?*.mkv', '<d> | e', 'dot.', 'space ', 'Ünï ✓ 😀.mkv'].map((name) => ({
  type: 'file' as const,
  path: `/__bad__/${name}`,
  size: 5000,
}));
/** Lists names only; busybox's ls would ask for the attributes of each entry. */
const names = `find ${mount}/__all__ -mindepth 1 -maxdepth 1`;
// What mount-options recommends. iocharset: Debian's regular kernels use UTF-8 by default; user-mode-linux uses ISO 8859-1.
const recommended =
  'guest,username=guest,hard,vers=3.1.1,echo_interval=10,actimeo=5,closetimeo=30,rsize=1048576,iocharset=utf8';
/** The options of an existing installation's mounter: they must work unchanged. */
const inherited = 'guest,uid=0,gid=0,file_mode=0755,dir_mode=0755,vers=3.0';
/** The guest system has no mount.cifs: these are the options that it passes to the kernel for `guest`. */
const asMountCifs = (options: string) => options.replace(/^guest,/, 'guest,user=,pass=,');

let fuse: FuseTree;
let client: KernelClient;
let gateway: Gateway;
/** A gateway whose share `shelf` is for users only and whose share `dfs` is for guests. */
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

/** Opens a video, reads 4 MiB, marks `open`, waits for `flag`, reads the rest and prints the digest of the whole. */
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
    // Disposing of the client has killed both. Wait for both at once: else the second may end before it is waited for.
    await Promise.all([gateway.kill(), forUsers.kill()]);
    await fuse.dispose();
    rmSync(folder, { recursive: true });
  });

  describe('the Linux kernel client, over SMB', () => {
    it('lists 2,000 releases and their files', async () => {
      const lines = (await client.output(`ls -lR ${mount}/__all__`, 120_000)).split('\n');
      const files = lines.filter((line) => line.startsWith('-'));
      expect(lines.filter((line) => line.startsWith('d'))).toHaveLength(RELEASES);
      expect(files).toHaveLength(2 * RELEASES);
      expect(files.filter((line) => line.includes(` ${VIDEO} `))).toHaveLength(RELEASES);
    }, 150_000);

    it('sees the same inode numbers as NFS, link counts and one device, all stable', async () => {
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

    it('finds a name in another case, as SMB servers do', async () => {
      expect(await client.output(`cmp ${mount}/VERSION.TXT ${mount}/version.txt && echo same`)).toBe(
        'same\n',
      );
      const release = releasePath(3).replace('/__all__', '/__ALL__').replace('Some', 'some');
      expect(await client.output(`stat -c %s ${mount}${release}/Video.mkv`)).toBe(`${VIDEO}\n`);
    });

    it('opens every listed file, whatever its name', async () => {
      const each = (where: string) => `cd ${where}/__bad__; for f in *; do echo "$f"; sha256sum < "$f"; done`;
      const text = await client.output(each(mount));
      expect(text).toBe(await client.output(each(nfsMount)));
      for (const { path, size } of odd) {
        expect(text).toContain(
          `${path.slice('/__bad__/'.length)}\n${contentDigest(contentSeed(path), size)}  -\n`,
        );
      }
    });

    it('reads a symlink, and reports the size of the file system', async () => {
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

    it('sees an added release within 10 s without a notification, and no longer sees a removed one', async () => {
      await client.output(`${names} > /dev/null`);
      const since = Date.now();
      await fuse.add({ type: 'file', path: '/__all__/New.Release/new.mkv', size: 1000 });
      await fuse.remove(releasePath(5));
      const seen = `${names} > /tmp/now; grep -q New.Release /tmp/now && ! grep -q ${releaseName(5)} /tmp/now`;
      await client.output(`until { ${seen}; }; do sleep 0.1; done`, 30_000);
      expect(Date.now() - since).toBeLessThan(10_000);
      expect(await client.output(`stat -c %s ${mount}/__all__/New.Release/new.mkv`)).toBe('1000\n');
    });

    it('reads over both protocols at once', async () => {
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

  it('leaves no complaint in the kernel’s log', async () => {
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

    it('with mode bits and case-sensitive names, for posix', async () => {
      await works('guest,username=guest,vers=3.1.1,posix,nosharesock', 'dfs', SMB_PORT, async () => {
        // This kernel does not ask for the mode of a file again once it has opened it.
        const paths = '/mnt/m /mnt/m/latest /mnt/m/version.txt';
        expect(await client.output(`stat -c '%F %a' ${paths}`)).toBe(
          'directory 755\nsymbolic link 777\nregular file 644\n',
        );
        expect((await client.run('stat /mnt/m/VERSION.TXT')).stderr).toContain('No such file');
        expect(await client.output('df -k /mnt/m')).toMatch(/10\.99\.0\.1\/dfs\s+[1-9]\d+/);
      });
    });

    it('as a guest of a gateway that also has users', async () => {
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

    it('not a share that does not exist', async () => {
      const mounting = mountCifs('/mnt/refused', 'guest,username=guest,vers=3.1.1', 'nothing');
      await expect(mounting).rejects.toThrow(/No such file or directory/);
    });
  });

  describe('outages', () => {
    it('continues to read an open file after the gateway was killed and restarted', async () => {
      const path = releasePath(9, 'video.mkv');
      const job = reader(path, 'restarted');
      await job.marked('open');
      await gateway.kill();
      gateway = await serve();
      client.flag('restarted');
      await readsAll(job, path);
      expect(await client.output(`${names} | wc -l`)).toBe(`${RELEASES}\n`);
    });

    it('continues after the gateway was killed in the middle of a read', async () => {
      const path = releasePath(21, 'video.mkv');
      const sum = `sha256sum < ${mount}${path}`;
      await fuse.setLatency({ read: 10 });
      // Such a kernel fails reads for as long as there is no gateway.
      const again = `tries=0; until ${sum}; do tries=$((tries + 1)); [ $tries -lt 30 ] || exit 1; sleep 0.3; done`;
      const job = client.spawn(`mark started; ${failsReadsInFlight(kernel) ? again : sum}`);
      await job.marked('started');
      await new Promise((resolve) => setTimeout(resolve, 500));
      await gateway.kill();
      await fuse.setLatency({});
      gateway = await serve();
      await readsAll(job, path);
    });

    it('continues to read after the FUSE daemon was killed and mounted again with new inode numbers', async () => {
      const path = releasePath(11, 'video.mkv');
      const job = reader(path, 'again');
      await job.marked('open');
      await fuse.kill();
      client.flag('again');
      await fuse.mount();
      await readsAll(job, path);
    });
  });

  it('leaves no error in the gateways’ logs', () => {
    expect([...gateway.errors(), ...forUsers.errors()]).toEqual([]);
  });
});
