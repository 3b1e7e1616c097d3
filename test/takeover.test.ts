/** A gateway hands over to a new process, fails to do so, or ends while the tree hangs. */
import { connect } from 'node:net';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { contentDigest, contentSeed, firstDifference, FuseTree, MIB, releasePath } from './kit/fuse.ts';
import { Gateway, type LogLine } from './kit/gateway.ts';
import { NfsClient } from './kit/nfs.ts';
import { smbclient } from './kit/smb.ts';
import { KernelClient } from './kit/uml.ts';

const video = (release: number) => releasePath(release, 'video.mkv');
const served = 'takeover: the successor serves, this process finishes what it has begun';

let folder: string;
const cleanUp: (() => unknown)[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-takeover-'));
});
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
  rmSync(folder, { recursive: true });
});

async function startFuse(): Promise<FuseTree> {
  const fuse = await FuseTree.start({ releases: 10 });
  cleanUp.push(() => fuse.dispose());
  return fuse;
}

/** Ends the gateway and its successors, which are not children of this process. */
function endAll(gateway: Gateway): () => Promise<void> {
  return async () => {
    const successors = gateway.log.flatMap(({ successor }) =>
      typeof successor === 'number' ? [successor] : [],
    );
    for (const pid of successors) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended.
      }
    }
    await gateway.kill();
  };
}

async function start(...args: string[]): Promise<Gateway> {
  const gateway = await Gateway.start({ args: ['serve', ...args], protocols: ['nfs', 'smb', 'admin'] });
  cleanUp.push(endAll(gateway));
  return gateway;
}

const local = ['--nfs', '127.0.0.1:0', '--smb', '127.0.0.1:0', '--admin', '127.0.0.1:0'];
const says = (msg: string) => (line: LogLine) => line['msg'] === msg;

/** Signals the serving process and resolves with the process id of its successor. */
async function takeOver(gateway: Gateway, pid = gateway.pid): Promise<number> {
  process.kill(pid, 'SIGUSR2');
  const line = await gateway.whenLogged((one) => one['msg'] === served && one['pid'] === pid);
  return line['successor'] as number;
}

/** Connects repeatedly until the returned function is called, which gives the failures and the number of visits. */
function connectInALoop(visit: () => Promise<void>): () => Promise<{ visits: number; failures: string[] }> {
  const stop = new AbortController();
  const failures: string[] = [];
  let visits = 0;
  const loop = (async () => {
    while (!stop.signal.aborted) {
      try {
        await visit();
        visits += 1;
      } catch (error) {
        failures.push((error as Error).stack ?? String(error));
      }
      await sleep(2);
    }
  })();
  return async () => {
    stop.abort();
    await loop;
    return { visits, failures };
  };
}

/** Opens a connection and closes it; fails if it is refused or reset. */
async function visitTcp(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.end();
  socket.resume();
  await once(socket, 'close');
}

describe('SIGUSR2', () => {
  it('refuses and resets no connection, and lets the old process finish slow requests', async () => {
    const fuse = await startFuse();
    const pidFile = join(folder, 'pid');
    const gateway = await start(fuse.mountpoint, '--name', 'dfs', ...local, '--pid-file', pidFile);
    const [nfs, smb, admin] = ['nfs', 'smb', 'admin'].map((protocol) => gateway.port(protocol));
    const client = await NfsClient.connect(nfs!);
    const root = await client.mount('/dfs');
    const slow = await client.walk(root, video(1));
    const other = await client.walk(root, video(2));

    const loops = [
      connectInALoop(async () => {
        const visitor = await NfsClient.connect(nfs!);
        await visitor.getattr(root);
        visitor.close();
      }),
      connectInALoop(() => visitTcp(smb!)),
      connectInALoop(async () => {
        const answer = await fetch(`http://127.0.0.1:${admin!}/livez`, { headers: { connection: 'close' } });
        if ((await answer.text()) !== 'ok\n') throw new Error(`status ${answer.status}`);
      }),
    ];
    await fuse.hang(video(1), 'read');
    const reading = client.read(slow, MIB, 65_536);
    await fuse.whenHeld();

    const successor = await takeOver(gateway);
    expect(readFileSync(pidFile, 'utf8')).toBe(`${successor}\n`);
    const late = await NfsClient.connect(nfs!);
    expect(firstDifference(contentSeed(video(2)), 0, (await late.read(other, 0, 65_536)).data)).toBe(-1);
    late.close();
    await sleep(500);
    expect(gateway.exitCode).toBeNull();
    await fuse.heal();
    const { data } = await reading;
    expect([data.length, firstDifference(contentSeed(video(1)), MIB, data)]).toEqual([65_536, -1]);
    await gateway.whenLogged((line) => line['msg'] === 'stopped' && line['pid'] === gateway.pid);
    await expect.poll(() => gateway.exitCode).toBe(0);

    for (const loop of loops) {
      const { visits, failures } = await loop();
      expect(failures).toEqual([]);
      expect(visits).toBeGreaterThan(20);
    }
    expect(readFileSync(pidFile, 'utf8')).toBe(`${successor}\n`);
    expect((await smbclient({ port: smb!, share: 'dfs', command: 'ls' })).code).toBe(0);
    expect(gateway.errors()).toEqual([]);
    client.close();
  });

  it('works again and again, and the last one ends in order', async () => {
    const fuse = await startFuse();
    const gateway = await start(fuse.mountpoint, '--name', 'dfs', ...local);
    let pid = gateway.pid;
    for (let generation = 0; generation < 3; generation++) {
      pid = await takeOver(gateway, pid);
      const client = await NfsClient.connect(gateway.port('nfs'));
      expect(await client.mount('/dfs')).toBeInstanceOf(Buffer);
      client.close();
    }
    expect(new Set(gateway.log.filter(says('listening')).map(({ port }) => port)).size).toBe(3);
    process.kill(pid, 'SIGTERM');
    await gateway.whenLogged((line) => line['msg'] === 'stopped' && line['pid'] === pid);
    const refused = await NfsClient.connect(gateway.port('nfs')).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'ECONNREFUSED' });
  });

  it('changes nothing when the new process cannot serve, and may be tried again', async () => {
    const fuse = await startFuse();
    const file = join(folder, 'holdfast.yaml');
    const config = (path: string) => writeFileSync(file, `exports: { dfs: { path: ${path} } }\n`);
    config(fuse.mountpoint);
    const gateway = await start('--config', file, ...local);
    const client = await NfsClient.connect(gateway.port('nfs'));
    const root = await client.mount('/dfs');

    config('/not/there');
    gateway.signal('SIGUSR2');
    const failed = await gateway.whenLogged(says('takeover failed: this process goes on serving'));
    expect(failed['reason']).toBe('it ended with exit code 2');
    expect(gateway.text.join('\n')).toContain('/not/there does not exist');
    expect((await client.getattr(root)).attributes.type).toBe(2);

    config(fuse.mountpoint);
    await takeOver(gateway);
    client.close();
  });

  it('listens at the addresses of the new configuration', async () => {
    const fuse = await startFuse();
    const file = join(folder, 'holdfast.yaml');
    const config = (smb: string) => {
      const rest = 'nfs: { listen: "127.0.0.1:0" }, admin: { listen: "127.0.0.1:0" }';
      writeFileSync(
        file,
        `{ exports: { dfs: { path: ${fuse.mountpoint} } }, smb: { listen: "${smb}" }, ${rest} }\n`,
      );
    };
    config('127.0.0.1:0');
    const gateway = await start('--config', file);
    const before = { nfs: gateway.port('nfs'), smb: gateway.port('smb') };
    config('127.0.0.2:0');
    await takeOver(gateway);
    expect(gateway.port('nfs')).toBe(before.nfs);
    expect(gateway.listener('smb').host).toBe('127.0.0.2');
    await expect.poll(() => gateway.exitCode).toBe(0);
    await expect(visitTcp(before.smb)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    const there = { host: '127.0.0.2', port: gateway.port('smb') };
    expect((await smbclient({ ...there, share: 'dfs', command: 'ls' })).code).toBe(0);
  });

  it('is not noticed by readers of the Linux kernel over NFS and SMB', async () => {
    const [fuse, client] = await Promise.all([startFuse(), KernelClient.start()]);
    cleanUp.push(() => client.dispose());
    const listen = ['--nfs', '0.0.0.0:12049', '--smb', '0.0.0.0:1445', '--admin', '127.0.0.1:0'];
    const gateway = await Gateway.start({
      args: ['serve', fuse.mountpoint, '--name', 'dfs', ...listen],
      netns: client.netns,
    });
    cleanUp.push(endAll(gateway));
    await client.mountNfs({ port: 12049, export: '/dfs', mountpoint: '/mnt/nfs', options: 'hard' });
    const options = 'guest,username=guest,hard,vers=3.1.1';
    await client.mountCifs({ port: 1445, share: 'dfs', mountpoint: '/mnt/smb', options });
    await fuse.setLatency({ read: 20 });
    const readers = ['nfs', 'smb'].map((protocol, release) =>
      client.output(`sha256sum < /mnt/${protocol}${video(release)}`, 100_000),
    );
    // The started process is nsenter, which becomes the gateway by exec.
    let pid = gateway.pid;
    for (let generation = 0; generation < 3; generation++) {
      await sleep(700);
      pid = await takeOver(gateway, pid);
    }
    for (const [release, reader] of readers.entries()) {
      expect((await reader).split(' ')[0]).toBe(contentDigest(contentSeed(video(release)), 64 * MIB));
    }
    expect(gateway.errors()).toEqual([]);
  });
});

describe('a stop while the tree hangs', () => {
  it('takes bounded time, ends by SIGKILL, and frees the sockets', async () => {
    const fuse = await startFuse();
    const options = [fuse.mountpoint, '--name', 'dfs', '--drain-timeout', '1'];
    const gateway = await start(...options, ...local);
    const client = await NfsClient.connect(gateway.port('nfs'), 60_000);
    const file = await client.walk(await client.mount('/dfs'), video(1));
    await fuse.hang(video(1), 'read');
    const reading = client.read(file, 0, 65_536).catch((error: unknown) => error);
    await fuse.whenHeld();
    const since = performance.now();
    gateway.signal('SIGTERM');
    const line = await gateway.whenLogged(says('calls to the source hang: ending by SIGKILL'));
    expect(line['exitCode']).toBe(137);
    // The hung thread keeps the process's entry in the process table until the tree answers.
    await expect.poll(() => readFileSync(`/proc/${gateway.pid}/stat`, 'utf8')).toMatch(/\) Z /);
    expect(performance.now() - since).toBeLessThan(5_000);
    expect(await reading).toBeInstanceOf(Error);

    const ports = ['nfs', 'smb', 'admin'].flatMap((name) => [`--${name}`, `127.0.0.1:${gateway.port(name)}`]);
    const next = await start(...options, ...ports);
    const again = await NfsClient.connect(next.port('nfs'), 60_000);
    const other = await again.walk(await again.mount('/dfs'), video(2));
    expect(firstDifference(contentSeed(video(2)), 0, (await again.read(other, 0, 65_536)).data)).toBe(-1);
    await fuse.heal();
    await expect.poll(() => existsSync(`/proc/${gateway.pid}`)).toBe(false);
    for (const one of [client, again]) one.close();
  });
});
