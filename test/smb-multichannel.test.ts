/** The Linux kernel's cifs client with several connections for one mount (multichannel), and with persistent handles. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { contentDigest, contentSeed, FuseTree, MIB, releasePath } from './kit/fuse.ts';
import { Gateway } from './kit/gateway.ts';
import { KernelClient } from './kit/uml.ts';

const VIDEO = 64 * MIB;
const PORT = 1446;
const mount = '/mnt/c';

let fuse: FuseTree;
let client: KernelClient;
let gateway: Gateway;
let folder: string;

/** Runs `ss` in the gateway's network namespace. */
const ss = (...args: string[]): string =>
  execFileSync('nsenter', [`--net=/run/netns/${client.netns}`, 'ss', '-Htn', ...args], { encoding: 'utf8' });
/** The client's port of each connection. */
const channels = (): string[] =>
  ss('state', 'established', 'sport', '=', `:${PORT}`)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => /:(\d+)\s*$/.exec(line)![1]!);

const serve = (): Promise<Gateway> =>
  Gateway.start({
    args: ['serve', '--config', join(folder, 'holdfast.yaml')],
    env: { SHELF_PASSWORD: 'password' },
    netns: client.netns,
  });

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-smb-multichannel-'));
  [fuse, client] = await Promise.all([FuseTree.start({ releases: 20 }), KernelClient.start()]);
  const users = 'users: [{ name: media, passwordEnv: SHELF_PASSWORD }]';
  writeFileSync(
    join(folder, 'holdfast.yaml'),
    `exports:
  shelf: { path: ${fuse.mountpoint}, smb: { ${users} } }
  kept: { path: ${fuse.mountpoint}, smb: { ${users}, persistentHandles: true } }
smb: { listen: "0.0.0.0:${PORT}" }
nfs: { listen: "127.0.0.1:0" }
admin: { listen: "127.0.0.1:0" }
`,
  );
  gateway = await serve();
  const options = 'user=media,pass=password,hard,vers=3.1.1,multichannel,max_channels=4,echo_interval=10';
  await client.mountCifs({ port: PORT, share: 'shelf', mountpoint: mount, options });
}, 60_000);

afterAll(async () => {
  await client.dispose();
  await gateway[Symbol.asyncDispose]();
  await fuse.dispose();
  rmSync(folder, { recursive: true });
});

describe('a mount with max_channels=4', () => {
  it('has four connections and reads over them', async () => {
    await expect.poll(() => channels().length, { timeout: 20_000 }).toBe(4);
    const path = releasePath(3, 'video.mkv');
    expect(await client.output(`sha256sum < ${mount}${path}`)).toContain(
      contentDigest(contentSeed(path), VIDEO),
    );
  });

  it('survives the loss of one connection without an error', async () => {
    await fuse.setLatency({ read: 5 });
    const path = releasePath(4, 'video.mkv');
    const job = client.spawn(`mark started; sha256sum < ${mount}${path}`);
    await job.marked('started');
    await new Promise((resolve) => setTimeout(resolve, 400));
    // Not the first connection: cifs before 6.8 cannot continue without it.
    const [, victim] = channels().sort();
    ss('-K', 'sport', '=', `:${PORT}`, 'dport', '=', `:${victim!}`);
    const { code, stdout, stderr } = await job.result;
    expect([code, stdout.split(' ')[0]], stderr + client.console(10)).toEqual([
      0,
      contentDigest(contentSeed(path), VIDEO),
    ]);
    await fuse.setLatency({});
    expect(await client.output(`ls ${mount}/__all__ | wc -l`)).toBe('20\n');
  });

  it('continues after a restart of the gateway', async () => {
    await gateway.kill();
    gateway = await serve();
    const path = releasePath(5, 'video.mkv');
    expect(await client.output(`sha256sum < ${mount}${path}`, 90_000)).toContain(
      contentDigest(contentSeed(path), VIDEO),
    );
  });

  it('continues to read with a persistent handle after the gateway was killed and restarted', async () => {
    const options = 'user=media,pass=password,hard,vers=3.1.1,persistenthandles,nosharesock,echo_interval=10';
    await client.mountCifs({ port: PORT, share: 'kept', mountpoint: '/mnt/p', options });
    const path = releasePath(6, 'video.mkv');
    const job = client.spawn(
      `exec 3< /mnt/p${path}; dd bs=1M count=4 <&3 2>/dev/null > /tmp/part; mark open; await_flag again
       cat <&3 >> /tmp/part; sha256sum < /tmp/part; rm /tmp/part`,
    );
    await job.marked('open');
    await gateway.kill();
    gateway = await serve();
    client.flag('again');
    const { code, stdout, stderr } = await job.result;
    expect([code, stdout.split(' ')[0]], stderr + client.console(10)).toEqual([
      0,
      contentDigest(contentSeed(path), VIDEO),
    ]);
  });

  it('leaves no error in the gateway’s log', () => {
    expect(gateway.errors()).toEqual([]);
  });
});
