/** Hundreds of requests of both protocols wait for an absent source: requests that do not need it are still answered. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { NfsStatus } from '../protocols/nfs-rpc/src/status.ts';
import { RawClient } from '../protocols/smb2/src/testing/raw-client.ts';
import { HEADER_SIZE } from '../protocols/smb2/src/wire/constants.ts';
import { createResponse } from '../protocols/smb2/src/wire/create.ts';
import { readRequest } from '../protocols/smb2/src/wire/io.ts';
import { emptyBody } from '../protocols/smb2/src/wire/session.ts';
import { Status } from '../protocols/smb2/src/wire/status.ts';
import { contentSeed, firstDifference, FuseTree, releasePath } from './kit/fuse.ts';
import { Gateway } from './kit/gateway.ts';
import { NfsClient } from './kit/nfs.ts';

const [CREATE, READ, CANCEL, ECHO] = [5, 8, 12, 13];
const empty = emptyBody.toBuffer({});
const each = 250;
const cancelled = 50;
/** NFS READs of one file that go to the tree at the same time; the rest wait without a buffer. */
const atOnce = 4;
const film = releasePath(1, 'video.mkv');

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

async function start(settings = '', options: readonly string[] = []) {
  const fuse = await FuseTree.start({ releases: 10 });
  cleanUp.push(() => fuse.dispose());
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-waiting-'));
  cleanUp.push(() => rmSync(folder, { recursive: true }));
  const config = join(folder, 'holdfast.yaml');
  const listen = ['nfs', 'smb', 'admin'].map((what) => `${what}: { listen: "127.0.0.1:0" }\n`).join('');
  writeFileSync(config, `exports: { dfs: { path: ${fuse.mountpoint} ${settings} } }\n${listen}`);
  const gateway = await Gateway.start({
    args: ['serve', '--config', config, ...options],
    protocols: ['nfs', 'smb', 'admin'],
  });
  cleanUp.push(() => gateway.kill());
  const nfs = await NfsClient.connect(gateway.port('nfs'));
  cleanUp.push(() => nfs.destroy());
  const smb = await RawClient.connect(gateway.port('smb'));
  cleanUp.push(() => smb.close());
  await smb.enter('dfs');
  return { fuse, gateway, nfs, smb };
}

async function openFilm(smb: RawClient) {
  const reply = await smb.request(CREATE, smb.createBody(film.slice(1).replaceAll('/', '\\')));
  expect(reply?.status).toBe(Status.SUCCESS);
  return createResponse.decode(reply!.packet, HEADER_SIZE).fileId;
}

function readMessage(smb: RawClient, fileId: { persistent: bigint; volatile: bigint }, offset: number) {
  const rest = { padding: 80, flags: 0, minimumCount: 0, channel: 0, remainingBytes: 0 };
  const body = readRequest.toBuffer(
    { ...rest, length: 4096, offset, fileId, channelInfoOffset: 0, channelInfoLength: 0 },
    Buffer.alloc(1),
  );
  return smb.message(READ, body);
}

/** The final answer to that message; skips other replies. */
async function answerTo(smb: RawClient, messageId: number) {
  for (;;) {
    const reply = await smb.next();
    if (!reply) throw new Error('the server hung up');
    if (reply.messageId === messageId && reply.status !== Status.PENDING) return reply;
  }
}

async function waiting(gateway: Gateway): Promise<number> {
  const metrics = await (await fetch(`http://127.0.0.1:${gateway.port('admin')}/metrics`)).text();
  return Number(/^holdfast_source_waiting\{export="dfs"\} (\d+)$/m.exec(metrics)?.[1]);
}

describe('requests that wait for a source that is away', () => {
  it('do not delay requests that need no source, and end at CANCEL and at the loss of the connection', async () => {
    const { fuse, gateway, nfs, smb } = await start();
    const root = await nfs.mount('/dfs');
    const all = await nfs.walk(root, '/__all__');
    const names = async () => (await nfs.readdirplus(all)).entries.map(({ name }) => name);
    const listed = await names();
    const file = await nfs.walk(root, film);
    const attributes = await nfs.getattr(file);
    const fileId = await openFilm(smb);
    await fuse.kill();
    expect(await gateway.whenLogged(({ msg }) => msg === 'source is down')).toMatchObject({
      reason: 'its daemon has ended: the mount answers only errors (ENOTCONN)',
    });

    const reads = Array.from({ length: each }, (_, i) => nfs.read(file, i * 8192, 4096));
    for (const read of reads) read.catch(() => undefined);
    const first = smb.messageId;
    for (let i = 0; i < each; i++) smb.sendMessage(readMessage(smb, fileId, i * 8192));
    await expect.poll(() => waiting(gateway)).toBe(each + atOnce);

    await nfs.null();
    expect((await nfs.getattr(root)).attributes.type).toBe(2);
    expect(await nfs.getattr(file)).toEqual(attributes);
    expect(await names()).toEqual(listed);
    const echo = smb.messageId;
    smb.sendMessage(smb.message(ECHO, empty));
    expect((await answerTo(smb, echo)).status).toBe(Status.SUCCESS);
    expect(await waiting(gateway)).toBe(each + atOnce);

    for (let i = 0; i < cancelled; i++) smb.sendMessage(smb.message(CANCEL, empty, { messageId: first + i }));
    for (let i = 0; i < cancelled; i++)
      expect((await answerTo(smb, first + i)).status).toBe(Status.CANCELLED);
    expect(await waiting(gateway)).toBe(each + atOnce - cancelled);
    smb.close();
    await expect.poll(() => waiting(gateway)).toBe(atOnce);
    nfs.destroy();
    await expect.poll(() => waiting(gateway)).toBe(0);

    const later = await NfsClient.connect(gateway.port('nfs'));
    cleanUp.push(() => later.destroy());
    const read = later.read(file, 0, 4096);
    await expect.poll(() => waiting(gateway)).toBe(1);
    await fuse.mount();
    expect(firstDifference(contentSeed(film), 0, (await read).data)).toBe(-1);
    expect(gateway.errors()).toEqual([]);
  });

  it('for a source that is stuck are counted once, with their whole wait', async () => {
    const { fuse, gateway, nfs, smb } = await start();
    const file = await nfs.walk(await nfs.mount('/dfs'), film);
    const fileId = await openFilm(smb);
    await fuse.hang();
    await gateway.whenLogged(({ msg }) => msg === 'source is stuck');
    for (let i = 0; i < 3; i++) smb.sendMessage(readMessage(smb, fileId, i * 8192));
    const read = nfs.read(file, 0, 4096);
    await expect.poll(() => waiting(gateway)).toBe(4);
    await delay(3_000);
    await fuse.heal();
    await read;
    const line = await gateway.whenLogged(({ awaySeconds }) => awaySeconds !== undefined);
    expect(line).toMatchObject({ msg: 'source is live', waited: 4 });
    expect(line['longestSeconds']).toBeGreaterThan(2.9);
  });

  it('are given up when the gateway stops, and the log says how many were not answered', async () => {
    const { fuse, gateway, nfs, smb } = await start();
    const file = await nfs.walk(await nfs.mount('/dfs'), film);
    const fileId = await openFilm(smb);
    await fuse.kill();
    await gateway.whenLogged(({ msg }) => msg === 'source is down');
    for (let i = 0; i < 3; i++) smb.sendMessage(readMessage(smb, fileId, i * 8192));
    const read = nfs.read(file, 0, 4096);
    await expect.poll(() => waiting(gateway)).toBe(4);
    const stopped = gateway.stop();
    await expect(read).rejects.toMatchObject({ status: NfsStatus.JUKEBOX });
    await stopped;
    expect(gateway.log.slice(-2)).toMatchObject([
      { level: 40, requests: 3, clients: 1, msg: expect.stringContaining('were not answered') as string },
      { msg: 'stopped' },
    ]);
  });

  it('of a file that hangs are cut off at the end of the time, and the log says how many', async () => {
    const { fuse, gateway, smb } = await start('', ['--drain-timeout', '2']);
    const fileId = await openFilm(smb);
    await fuse.hang(film, 'read');
    smb.sendMessage(readMessage(smb, fileId, 0));
    gateway.signal('SIGTERM');
    const last = await gateway.whenLogged(({ requests }) => requests !== undefined);
    expect(last).toMatchObject({ level: 40, requests: 1, clients: 1 });
    await gateway.whenLogged(({ msg }) => msg === 'stopped');
    // The process ends only when its call has returned.
    await fuse.heal();
  });

  it('fail after `failAfter` if it is configured, and wait again once the source is back', async () => {
    const { fuse, gateway, nfs, smb } = await start(', failAfter: 1');
    const root = await nfs.mount('/dfs');
    const file = await nfs.walk(root, film);
    const fileId = await openFilm(smb);
    await fuse.kill();
    await gateway.whenLogged(({ msg }) => msg === 'source is down');
    const messageId = smb.messageId;
    smb.sendMessage(readMessage(smb, fileId, 0));
    await expect(nfs.read(file, 0, 4096)).rejects.toMatchObject({ status: NfsStatus.IO });
    expect((await answerTo(smb, messageId)).status).toBe(Status.UNEXPECTED_IO_ERROR);
    // Later ones fail at once; known attributes are still answered.
    await expect(nfs.read(file, 0, 4096)).rejects.toMatchObject({ status: NfsStatus.IO });
    expect((await nfs.getattr(file)).attributes.type).toBe(1);
    await fuse.mount();
    await gateway.whenLogged(({ msg, epoch }) => msg === 'source is live' && epoch === 2);
    expect(firstDifference(contentSeed(film), 0, (await nfs.read(file, 0, 4096)).data)).toBe(-1);
  });
});
