/** Tests that need a client which sees every reply: handles on another gateway, slow files, outages, bad input. */
import { connect } from 'node:net';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { NfsStatus } from '../protocols/nfs-rpc/src/status.ts';
import {
  contentSeed,
  firstDifference,
  FuseTree,
  MIB,
  releasePath,
  type FuseTreeOptions,
} from './kit/fuse.ts';
import { Gateway } from './kit/gateway.ts';
import { NfsClient, NfsFailure } from './kit/nfs.ts';

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

async function startFuse(options: FuseTreeOptions = {}): Promise<FuseTree> {
  const fuse = await FuseTree.start({ releases: 10, ...options });
  cleanUp.push(() => fuse.dispose());
  return fuse;
}

async function startGateway(fuse: FuseTree): Promise<{ gateway: Gateway; client: NfsClient; root: Buffer }> {
  const listen = ['--nfs', '127.0.0.1:0', '--smb', '127.0.0.1:0', '--admin', '127.0.0.1:0'];
  const gateway = await Gateway.start({
    args: ['serve', fuse.mountpoint, '--name', 'dfs', ...listen],
    protocols: ['nfs', 'admin'],
  });
  cleanUp.push(() => gateway.stop());
  const client = await NfsClient.connect(gateway.port('nfs'));
  cleanUp.push(() => client.close());
  return { gateway, client, root: await client.mount('/dfs') };
}

const status = (promise: Promise<unknown>) =>
  promise.then(
    () => NfsStatus.OK,
    (error: unknown) => (error instanceof NfsFailure ? error.status : error),
  );

describe('an export that does not exist', () => {
  it('cannot be mounted, and the log says who wanted it', async () => {
    const { gateway, client } = await startGateway(await startFuse());
    await expect(client.mount('/films')).rejects.toThrow();
    const line = await gateway.whenLogged(({ msg }) => msg === 'refused: there is no such export');
    expect(line).toMatchObject({ client: '127.0.0.1', export: 'films', protocol: 'nfs' });
    expect(line).not.toHaveProperty('omitted');
  });
});

describe('file handles', () => {
  it('from one gateway work on another that has just started', async () => {
    const fuse = await startFuse();
    const first = await startGateway(fuse);
    const video = releasePath(3, 'video.mkv');
    const file = await first.client.walk(first.root, video);
    const directory = await first.client.walk(first.root, releasePath(4));
    const seen = await first.client.getattr(file);
    await first.gateway.kill();

    const second = await startGateway(fuse);
    expect(second.root).toEqual(first.root);
    expect((await second.client.read(file, 5 * MIB, 4096)).data).toEqual(
      (await second.client.read(await second.client.walk(second.root, video), 5 * MIB, 4096)).data,
    );
    const again = await second.client.getattr(file);
    expect(again.attributes).toEqual(seen.attributes);
    const names = (await second.client.readdirplus(directory)).entries.map((entry) => entry.name);
    expect(names).toEqual(expect.arrayContaining(['video.mkv', 'video.en.srt']));
  });

  it('that are forged are refused, and those of removed files are stale', async () => {
    const fuse = await startFuse({ entryTimeoutSeconds: 0, attrTimeoutSeconds: 0 });
    const { client, root } = await startGateway(fuse);
    const file = await client.walk(root, releasePath(2, 'video.mkv'));
    const forged = Buffer.from(file);
    forged[10]! ^= 1;
    expect(await status(client.getattr(forged))).toBe(NfsStatus.STALE);
    expect(await status(client.getattr(Buffer.alloc(16)))).toBe(NfsStatus.BADHANDLE);
    expect(await status(client.getattr(Buffer.alloc(0)))).toBe(NfsStatus.BADHANDLE);
    await fuse.remove(releasePath(2));
    await expect.poll(() => status(client.getattr(file))).toBe(NfsStatus.STALE);
  });
});

describe('slow and hung files', () => {
  it('forty slow reads of one delay neither attributes nor another file', async () => {
    const fuse = await startFuse();
    const { client, root } = await startGateway(fuse);
    const slow = await client.walk(root, releasePath(0, 'video.mkv'));
    const other = await client.walk(root, releasePath(1, 'video.mkv'));
    await fuse.hang(releasePath(0, 'video.mkv'), 'read');
    const stuck = Array.from({ length: 40 }, (_, i) => client.read(slow, i * MIB, 65_536));
    await fuse.whenHeld(1);
    // All of these are answered while the forty reads wait.
    expect((await client.getattr(slow)).attributes.size).toBe(64 * MIB);
    expect((await client.lookup(root, '__all__')).object).toBeDefined();
    const { data } = await client.read(other, 3 * MIB, 65_536);
    expect(firstDifference(contentSeed(releasePath(1, 'video.mkv')), 3 * MIB, data)).toBe(-1);
    expect(
      (await client.readdirplus(await client.walk(root, releasePath(5)))).entries.length,
    ).toBeGreaterThan(2);
    // Only the first of the forty reads holds a thread.
    expect(await fuse.held()).toBe(1);
    await fuse.heal();
    for (const [i, read] of stuck.entries()) {
      expect(firstDifference(contentSeed(releasePath(0, 'video.mkv')), i * MIB, (await read).data)).toBe(-1);
    }
  });
});

describe('a hundred and forty large reads of a file that hangs', () => {
  it('leave memory for a read of another file on the same connection', async () => {
    const fuse = await startFuse();
    const { client, root } = await startGateway(fuse);
    const hung = await client.walk(root, releasePath(0, 'video.mkv'));
    const other = await client.walk(root, releasePath(1, 'video.mkv'));
    await fuse.hang(releasePath(0, 'video.mkv'), 'read');
    const stuck = Array.from({ length: 140 }, (_, i) => status(client.read(hung, (i % 60) * MIB, MIB)));
    await fuse.whenHeld(1);
    const { data } = await client.read(other, 3 * MIB, MIB);
    expect(firstDifference(contentSeed(releasePath(1, 'video.mkv')), 3 * MIB, data)).toBe(-1);
    expect(await fuse.held()).toBe(1);
    await fuse.heal();
    expect(new Set(await Promise.all(stuck))).toEqual(new Set([NfsStatus.OK]));
  });
});

describe('a gateway that stops', () => {
  it('is alive but no longer ready while it finishes what it has begun', async () => {
    const fuse = await startFuse();
    const { client, root, gateway } = await startGateway(fuse);
    const file = await client.walk(root, releasePath(0, 'video.mkv'));
    await fuse.hang(releasePath(0, 'video.mkv'), 'read');
    const read = client.read(file, MIB, 4096);
    await fuse.whenHeld(1);
    process.kill(gateway.pid, 'SIGTERM');
    await gateway.whenLogged(({ msg }) => msg === 'stopping: finishing outstanding requests');
    const ask = async (path: string) =>
      (await fetch(`http://127.0.0.1:${String(gateway.port('admin'))}${path}`)).status;
    expect([await ask('/readyz'), await ask('/livez')]).toEqual([503, 200]);
    await fuse.heal();
    expect((await read).data.length).toBe(4096);
  });
});

describe('a source that goes away', () => {
  it('keeps readers waiting, answers from the cache, and never says that a file is missing', async () => {
    const fuse = await startFuse();
    const { client, root, gateway } = await startGateway(fuse);
    const file = await client.walk(root, releasePath(1, 'video.mkv'));
    const before = await client.getattr(file);
    await fuse.kill();
    const read = client.read(file, 0, 4096);
    const unseen = client.lookup(root, 'nzbs');
    await gateway.whenLogged((line) => line['msg'] === 'source is down');
    expect((await client.getattr(file)).attributes).toEqual(before.attributes);
    expect((await client.getattr(root)).attributes.type).toBe(2);
    const health = await fetch(`http://127.0.0.1:${gateway.port('admin')}/metrics`);
    expect(await health.text()).toMatch(/holdfast_source_state\{[^}]*state="down"[^}]*\} 1/);
    await fuse.mount();
    expect(firstDifference(contentSeed(releasePath(1, 'video.mkv')), 0, (await read).data)).toBe(-1);
    expect((await unseen).object).toBeDefined();
  });
});

describe('bad input', () => {
  it('ends that connection or that call, and disturbs no other client', async () => {
    const fuse = await startFuse();
    const { client, root, gateway } = await startGateway(fuse);
    for (const bytes of [
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      Buffer.from('ffffffff', 'hex'),
      Buffer.from('80000004deadbeef', 'hex'),
      Buffer.alloc(4096, 0xff),
    ]) {
      const socket = connect(gateway.port('nfs'), '127.0.0.1');
      socket.on('error', () => undefined);
      socket.write(bytes);
      socket.resume();
      await once(socket, 'close');
    }
    const file = await client.walk(root, releasePath(1, 'video.mkv'));
    expect(await client.read(file, 2 ** 52, 65_536)).toMatchObject({ count: 0, eof: true });
    expect((await client.read(file, 0, 0xffffffff)).count).toBe(MIB);
    for (const name of ['a/b', 'a\0b', ''])
      expect(await status(client.lookup(root, name))).not.toBe(NfsStatus.OK);
    expect(await status(client.lookup(root, 'x'.repeat(256)))).toBe(NfsStatus.NAMETOOLONG);
    expect((await client.lookup(root, '..')).object).toEqual(root);
    const { entries, eof } = await client.readdirplus(root, Number.MAX_SAFE_INTEGER);
    expect([entries.length, eof]).toEqual([0, true]);
    expect(gateway.log.filter((line) => line['msg'] === 'malformed call').length).toBeGreaterThan(0);
    expect(gateway.errors()).toEqual([]);
  });
});
