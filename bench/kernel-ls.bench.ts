/**
 * `npm run bench:kernel`: the Linux kernel client runs `ls -l` on 10,000 releases twice, on a FUSE tree with link count 0.
 * Compares Holdfast over SMB and NFS with smbd (with corrected link counts). Prints a table; checks only that every
 * release is listed.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { smbdCommand } from '../test/faults/peers.ts';
import { FuseTree } from '../test/kit/fuse.ts';
import { Gateway } from '../test/kit/gateway.ts';
import { kernelTitle } from '../test/kit/kernels.ts';
import { KernelClient } from '../test/kit/uml.ts';

const RELEASES = 10_000;
const ROUNDS = 3;
const ports = { nfs: 12049, smb: 1445, smbd: 2445 };

let folder: string;
let fuse: FuseTree;
let client: KernelClient;
let gateway: Gateway;
let smbd: ChildProcess;
const rows: string[] = [];

function startSmbd(): ChildProcess {
  const [enter, ...rest] = client.enter;
  const command = smbdCommand(folder, fuse.mountpoint, ports.smbd);
  return spawn(enter, [...rest, ...command], { stdio: 'ignore' });
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-kernel-ls-'));
  // smbd enters the folder as user nobody.
  chmodSync(folder, 0o711);
  const mountpoint = join(folder, 'dfs');
  mkdirSync(mountpoint);
  fuse = await FuseTree.start({
    mountpoint,
    releases: RELEASES,
    files: [{ name: 'a.mkv', size: 1 << 20 }],
    inodes: 'mount',
  });
  client = await KernelClient.start({ memoryMib: 1024 });
  const listen = ['--nfs', `0.0.0.0:${ports.nfs}`, '--smb', `0.0.0.0:${ports.smb}`, '--admin', '127.0.0.1:0'];
  const args = ['serve', fuse.mountpoint, '--name', 'dfs', ...listen];
  gateway = await Gateway.start({ args, netns: client.netns });
  smbd = startSmbd();
  await client.whenListening(ports.smbd);
});

afterAll(async () => {
  smbd.kill('SIGKILL');
  await client.dispose();
  await gateway[Symbol.asyncDispose]();
  await fuse.dispose();
  rmSync(folder, { recursive: true, force: true });
  console.log(
    [
      '',
      `The client: Linux ${kernelTitle(client.kernel)}`,
      '',
      '| server | first `ls -l` | second |',
      '| --- | --- | --- |',
      ...rows,
      '',
    ].join('\n'),
  );
});

const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

/** Lists the folder. Returns the seconds by the guest's clock (resolution 0.01 s). */
async function list(mountpoint: string): Promise<number> {
  const output = await client.output(
    `a=$(cut -d' ' -f1 /proc/uptime); ls -l ${mountpoint}/__all__ | grep -c ^d; b=$(cut -d' ' -f1 /proc/uptime); echo $a $b`,
    120_000,
  );
  const [count, times] = output.trim().split('\n');
  expect(Number(count)).toBe(RELEASES);
  const [from, to] = times!.split(' ').map(Number);
  return to! - from!;
}

async function measure(name: string, mountpoint: string, mount: () => Promise<void>): Promise<void> {
  const first: number[] = [];
  const second: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    await mount();
    first.push(await list(mountpoint));
    second.push(await list(mountpoint));
    await client.output(`umount ${mountpoint}; echo 3 > /proc/sys/vm/drop_caches`);
  }
  rows.push(`| ${name} | ${median(first).toFixed(2)} s | ${median(second).toFixed(2)} s |`);
}

const cifs = 'guest,username=guest,vers=3.1.1,hard,actimeo=5';

it(
  'Holdfast over SMB',
  () =>
    measure('Holdfast, cifs', '/mnt/c', () =>
      client.mountCifs({ port: ports.smb, share: 'dfs', mountpoint: '/mnt/c', options: cifs }),
    ),
  600_000,
);

it(
  'smbd',
  () =>
    measure('smbd 4.17, cifs', '/mnt/s', () =>
      client.mountCifs({ port: ports.smbd, share: 'dfs', mountpoint: '/mnt/s', options: cifs }),
    ),
  600_000,
);

it(
  'Holdfast over NFS',
  () =>
    measure('Holdfast, NFSv3', '/mnt/n', () =>
      client.mountNfs({
        port: ports.nfs,
        export: '/dfs',
        mountpoint: '/mnt/n',
        options: 'acdirmin=1,acdirmax=5',
      }),
    ),
  600_000,
);
