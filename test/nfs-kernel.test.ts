/** The Linux kernel's NFS client on a FUSE tree with link count 0, changing inode numbers and "now" as mtime. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { contentDigest, contentSeed, FuseTree, MIB, releaseName, releasePath } from './kit/fuse.ts';
import { Gateway } from './kit/gateway.ts';
import { titledKernels } from './kit/kernels.ts';
import { KernelClient } from './kit/uml.ts';

const RELEASES = 2_000;
const VIDEO = 64 * MIB;
const mount = '/mnt/n';

let fuse: FuseTree;
let client: KernelClient;
let gateway: Gateway;

const serve = (port: number) =>
  Gateway.start({
    args: [
      'serve',
      fuse.mountpoint,
      '--name',
      'dfs',
      '--nfs',
      `0.0.0.0:${port}`,
      '--smb',
      '0.0.0.0:0',
      '--admin',
      '127.0.0.1:0',
    ],
    protocols: ['nfs'],
    netns: client.netns,
  });

describe.each(await titledKernels())('Linux %s, over NFSv3', (_, kernel) => {
  beforeAll(async () => {
    [fuse, client] = await Promise.all([
      FuseTree.start({ releases: RELEASES }),
      KernelClient.start({ kernel }),
    ]);
    gateway = await serve(12049);
    const options = 'acdirmin=1,acdirmax=5';
    await client.mountNfs({ port: 12049, export: '/dfs', mountpoint: mount, options });
  }, 60_000);

  afterAll(async () => {
    await client.dispose();
    await gateway[Symbol.asyncDispose]();
    await fuse.dispose();
  });

  it('lists 2,000 releases and their files', async () => {
    const lines = (await client.output(`ls -lR ${mount}/__all__`, 120_000)).split('\n');
    const files = lines.filter((line) => line.startsWith('-'));
    expect(lines.filter((line) => line.startsWith('d'))).toHaveLength(RELEASES);
    expect(files).toHaveLength(2 * RELEASES);
    expect(files.filter((line) => line.includes(` ${VIDEO} `))).toHaveLength(RELEASES);
    expect(await client.output(`find ${mount}/__all__ -type f | wc -l`, 120_000)).toBe(`${2 * RELEASES}\n`);
  }, 250_000);

  it('sees link counts, one device, and a stable inode number for each path', async () => {
    const places = [mount, `${mount}/__all__`, mount + releasePath(3), mount + releasePath(3, 'video.mkv')];
    const stat = async () => (await client.output(`stat -c '%h %d %i %s %Y %Z' ${places.join(' ')}`)).trim();
    const first = await stat();
    const rows = first.split('\n').map((line) => line.split(' ').map(Number));
    expect(rows.map(([links]) => links)).toEqual([2, 2, 2, 1]);
    expect(new Set(rows.map(([, device]) => device)).size).toBe(1);
    expect(new Set(rows.map(([, , inode]) => inode)).size).toBe(4);
    await client.output('echo 3 > /proc/sys/vm/drop_caches');
    expect(await stat()).toBe(first);
  });

  it('reads a 64 MiB file byte for byte', async () => {
    const path = releasePath(7, 'video.mkv');
    const sum = await client.output(`sha256sum < ${mount}${path}`);
    expect(sum.split(' ')[0]).toBe(contentDigest(contentSeed(path), VIDEO));
  });

  it('follows a symlink, and reports the size of the file system', async () => {
    expect(await client.output(`readlink ${mount}/latest`)).toBe('__all__\n');
    expect(await client.output(`ls ${mount}/latest/ | wc -l`)).toBe(`${RELEASES}\n`);
    expect(await client.output(`df -k ${mount}`)).toMatch(/10\.99\.0\.1:\/dfs\s+\d+/);
  });

  it('cannot change anything', async () => {
    const file = mount + releasePath(1, 'video.mkv');
    for (const command of [
      `echo x > ${mount}/new`,
      `echo x >> ${file}`,
      `rm ${file}`,
      `mkdir ${mount}/d`,
      `mv ${file} ${file}.2`,
      `chmod 600 ${file}`,
      `ln -s x ${mount}/l`,
      `ln ${file} ${mount}/h`,
      `touch ${file}`,
      `mknod ${mount}/p p`,
    ]) {
      const { code, stderr } = await client.run(command);
      expect(code, command).not.toBe(0);
      expect(stderr, command).toMatch(/Read-only file system|Permission denied/);
    }
  });

  it('sees an added release within 10 s without a notification, and no longer sees a removed one', async () => {
    await client.output(`ls ${mount}/__all__ > /dev/null`);
    await fuse.add({ type: 'file', path: '/__all__/New.Release/new.mkv', size: 1000 });
    await fuse.remove(releasePath(5));
    const seen = `ls ${mount}/__all__ > /tmp/now; grep -q New.Release /tmp/now && ! grep -q ${releaseName(5)} /tmp/now`;
    const waited = await client.output(
      `n=0; until { ${seen}; }; do n=$((n+1)); [ $n -gt 100 ] && exit 1; sleep 0.1; done; cut -d' ' -f1 /proc/uptime`,
    );
    expect(waited).toBeTruthy();
    expect(await client.output(`stat -c %s ${mount}/__all__/New.Release/new.mkv`)).toBe('1000\n');
  });

  it('continues to read an open file after the gateway was killed and restarted', async () => {
    const path = releasePath(9, 'video.mkv');
    const job = client.spawn(
      `exec 3< ${mount}${path}; dd bs=1M count=4 <&3 2>/dev/null > /tmp/part; mark open; await_flag go; cat <&3 >> /tmp/part; sha256sum < /tmp/part; ls ${mount}/__all__ | wc -l`,
    );
    await job.marked('open');
    await gateway.kill();
    gateway = await serve(12049);
    client.flag('go');
    const { code, stdout } = await job.result;
    expect(code).toBe(0);
    const [sum, count] = stdout.split('\n');
    expect(sum!.split(' ')[0]).toBe(contentDigest(contentSeed(path), VIDEO));
    expect(count).toBe(String(RELEASES));
  });

  it('continues to read after the FUSE daemon was killed and mounted again with new inode numbers', async () => {
    const path = releasePath(11, 'video.mkv');
    const job = client.spawn(
      `exec 3< ${mount}${path}; dd bs=1M count=4 <&3 2>/dev/null > /tmp/part; mark open; await_flag again; cat <&3 >> /tmp/part; sha256sum < /tmp/part`,
    );
    await job.marked('open');
    await fuse.kill();
    client.flag('again');
    await fuse.mount();
    const { code, stdout } = await job.result;
    expect([code, stdout.split(' ')[0]]).toEqual([0, contentDigest(contentSeed(path), VIDEO)]);
  });

  it('leaves no error in the gateway’s log', () => {
    expect(gateway.errors()).toEqual([]);
  });
});
