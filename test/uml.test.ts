import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { contentDigest, makeContent } from './kit/fuse.ts';
import { titledKernels } from './kit/kernels.ts';
import { HOST_ADDRESS, KernelClient } from './kit/uml.ts';

const SMB_PORT = 1445;
const FILE_SIZE = 3_000_000;

let client: KernelClient;
let folder: string;

describe.each(await titledKernels())('Linux %s', (_, kernel) => {
  /** smbd serves instead of the gateway here, as a server known to work. It ends with the client's namespace. */
  beforeAll(async () => {
    client = await KernelClient.start({ kernel });
    folder = mkdtempSync(join(tmpdir(), 'holdfast-smbd-'));
    mkdirSync(join(folder, 'share/release'), { recursive: true });
    writeFileSync(join(folder, 'share/release/file.mkv'), makeContent('/release/file.mkv', 0, FILE_SIZE));
    const directories = ['private', 'lock', 'state', 'cache', 'pid', 'ncalrpc'].map(
      (kind) =>
        `${kind === 'private' ? 'private dir' : `${kind} ${kind === 'ncalrpc' ? 'dir' : 'directory'}`} = ${folder}`,
    );
    const global = [
      '[global]',
      ...directories,
      `smb ports = ${SMB_PORT}`,
      'map to guest = bad user',
      'disable netbios = yes',
    ];
    const share = [
      '[dfs]',
      `path = ${folder}/share`,
      'read only = yes',
      'guest ok = yes',
      'force user = root',
    ];
    writeFileSync(join(folder, 'smb.conf'), [...global, ...share].join('\n'));
    const [enter, ...rest] = client.enter;
    const command = [
      'smbd',
      '--foreground',
      '--no-process-group',
      '--debug-stdout',
      '-s',
      join(folder, 'smb.conf'),
    ];
    spawn(enter, [...rest, ...command], { stdio: ['ignore', 'ignore', 'inherit'] });
  }, 60_000);

  afterAll(async () => {
    await client.dispose();
    rmSync(folder, { recursive: true, force: true });
  });

  describe('the kernel client', () => {
    it('has cifs and nfs', async () => {
      expect(await client.output('uname -r')).toBe(`${kernel.release}\n`);
      expect(await client.output('cat /proc/filesystems')).toMatch(/\tcifs\n[^]*\tnfs\n/);
    });

    it('gives exit codes and both outputs, whatever their size', async () => {
      expect(await client.run('echo out; echo err >&2; exit 7')).toEqual({
        code: 7,
        stdout: 'out\n',
        stderr: 'err\n',
      });
      expect((await client.run('yes 0123456789 | head -c 5000000')).stdout).toHaveLength(5_000_000);
      await expect(client.output('ls /nowhere')).rejects.toThrow(/No such file/);
    });

    it('runs commands in parallel, waits for flags and reports marks', async () => {
      const job = client.spawn('mark waiting; await_flag go; echo went');
      await job.marked('waiting');
      expect(await client.output('echo meanwhile')).toBe('meanwhile\n');
      client.flag('go');
      expect((await job.result).stdout).toBe('went\n');
      await expect(client.spawn('true').marked('never')).rejects.toThrow(/without mark/);
    });

    it('ends a command that hangs', async () => {
      const job = client.spawn('mark started; sleep 1000');
      await job.marked('started');
      job.kill('KILL');
      expect((await job.result).code).toBe(137);
      await expect(client.run('sleep 1000', 200)).rejects.toThrow(/not done after 200 ms/);
    });

    it('reaches the host side of its network and nothing else', async () => {
      await client.output(`ping -c 1 ${HOST_ADDRESS}`);
      expect((await client.run('ping -c 1 -W 1 1.1.1.1')).code).not.toBe(0);
    });

    it('mounts a cifs share and reads it', async () => {
      await client.whenListening(SMB_PORT);
      await client.mountCifs({ port: SMB_PORT, share: 'dfs', mountpoint: '/mnt/c' });
      const digest = await client.output('sha256sum /mnt/c/release/file.mkv');
      expect(digest.split(' ')[0]).toBe(contentDigest('/release/file.mkv', FILE_SIZE));
      expect(await client.output('stat -c "%s %F" /mnt/c/release/file.mkv')).toBe(
        `${FILE_SIZE} regular file\n`,
      );
      await client.umountCifs('/mnt/c');
    });

    it('tells a guest without a network from one with', async () => {
      // A guest of its own: some kernels do not find their network again.
      await using other = await KernelClient.start({ kernel });
      expect(await other.hasNetwork()).toBe(true);
      execFileSync('ip', ['-n', other.netns, 'link', 'set', 'uml0', 'down']);
      expect(await other.hasNetwork()).toBe(false);
      expect(await other.whyLate()).toContain('has lost its network');
    });

    it('coexists with others and leaves nothing behind', async () => {
      const other = await KernelClient.start({ kernel, memoryMib: 128 });
      expect(await other.output('ip address show vec0')).toContain('10.99.0.2/24');
      const { netns } = other;
      expect(execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' })).toContain(netns);
      await other.dispose();
      expect(execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' })).not.toContain(netns);
      await other.dispose();
    });

    it('fails running commands when the guest ends', async () => {
      const other = await KernelClient.start({ kernel, memoryMib: 128 });
      const job = other.spawn('poweroff -f');
      await expect(job.result).rejects.toThrow(/guest kernel has ended/);
      await other.dispose();
    });
  });
});
