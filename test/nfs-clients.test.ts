/** libnfs's tools, showmount and rpcinfo, in a network namespace where port 111 is the gateway's. */
import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { contentSeed, firstDifference, FuseTree, MIB, releaseName, releasePath } from './kit/fuse.ts';
import { Gateway } from './kit/gateway.ts';

const run = promisify(execFile);
const netns = `holdfast-${process.pid}-client`;

let fuse: FuseTree;
let gateway: Gateway;
let folder: string;

const inside = async (...command: string[]) => {
  const { stdout } = await run('ip', ['netns', 'exec', netns, ...command], { maxBuffer: 64 * MIB });
  return stdout;
};
const url = (path: string) => `nfs://127.0.0.1/dfs${path}?version=3`;

beforeAll(async () => {
  execFileSync('ip', ['netns', 'add', netns]);
  execFileSync('ip', ['-n', netns, 'link', 'set', 'lo', 'up']);
  folder = mkdtempSync(join(tmpdir(), 'holdfast-nfs-clients-'));
  fuse = await FuseTree.start({ releases: 30 });
  writeFileSync(
    join(folder, 'holdfast.yaml'),
    `exports:
  dfs: { path: ${fuse.mountpoint} }
  private: { path: ${fuse.mountpoint}, clients: [10.0.0.0/8] }
nfs: { listen: "127.0.0.1:2049", mountListen: "127.0.0.1:20048", portmap: true }
smb: { listen: "127.0.0.1:0" }
admin: { listen: "127.0.0.1:0" }
`,
  );
  gateway = await Gateway.start({
    args: ['serve', '--config', join(folder, 'holdfast.yaml')],
    protocols: ['nfs'],
    netns,
  });
});

afterAll(async () => {
  await gateway.stop();
  await fuse.dispose();
  rmSync(folder, { recursive: true });
  execFileSync('ip', ['netns', 'delete', netns]);
});

describe('clients outside the kernel', () => {
  it('nfs-ls lists, with sizes', async () => {
    const lines = (await inside('nfs-ls', url('/__all__'))).trim().split('\n');
    expect(lines).toHaveLength(30);
    expect(lines.some((line) => line.endsWith(releaseName(4)))).toBe(true);
    expect(await inside('nfs-ls', url(releasePath(4)))).toMatch(new RegExp(` ${64 * MIB} video.mkv`));
  });

  it('nfs-cp copies a file byte for byte, nfs-cat prints one', async () => {
    const path = releasePath(2, 'video.mkv');
    await inside('nfs-cp', url(path), join(folder, 'copy'));
    const copy = readFileSync(join(folder, 'copy'));
    expect(copy.length).toBe(64 * MIB);
    expect(firstDifference(contentSeed(path), 0, copy)).toBe(-1);
    const subtitle = releasePath(2, 'video.en.srt');
    const { stdout } = await run('ip', ['netns', 'exec', netns, 'nfs-cat', url(subtitle)], {
      encoding: 'buffer',
    });
    expect([stdout.length, firstDifference(contentSeed(subtitle), 0, stdout)]).toEqual([48_321, -1]);
  });

  it('showmount -e lists the exports with their rules', async () => {
    const text = await inside('showmount', '-e', '127.0.0.1');
    expect(text).toMatch(/^\/dfs\s.*127\.0\.0\.0\/8/m);
    expect(text).toMatch(/^\/private\s+10\.0\.0\.0\/8$/m);
  });

  it('rpcinfo finds the programs, and their versions', async () => {
    const text = await inside('rpcinfo', '-p', '127.0.0.1');
    expect(text).toMatch(/100003\s+3\s+tcp\s+2049/);
    expect(text).toMatch(/100005\s+3\s+tcp\s+20048/);
    expect(await inside('rpcinfo', '-t', '127.0.0.1', '100003', '3')).toMatch(/ready and waiting/);
    await expect(inside('rpcinfo', '-t', '127.0.0.1', '100003', '4')).rejects.toThrow(
      /low version = 3, high version = 3/,
    );
    await expect(inside('rpcinfo', '-t', '127.0.0.1', '100227', '3')).rejects.toThrow();
  });

  it('a client that no rule allows is refused, with one line in the log', async () => {
    const private_ = 'nfs://127.0.0.1/private?version=3';
    await expect(inside('nfs-ls', private_)).rejects.toThrow(/ACCES|Permission/);
    const line = await gateway.whenLogged((entry) => String(entry['msg']).startsWith('refused'));
    expect(line).toMatchObject({ export: 'private', client: '127.0.0.1' });
    await expect(inside('nfs-ls', 'nfs://127.0.0.1/nothing?version=3')).rejects.toThrow(/NOENT|No such/);
  });
});
