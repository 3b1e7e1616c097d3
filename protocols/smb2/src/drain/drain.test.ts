import { afterEach, describe, expect, it } from 'vitest';
import { StatusError } from '../errors.ts';
import type { Limits } from '../limits.ts';
import { MemoryShare } from '../memory/memory-share.ts';
import { SmbServer } from '../server.ts';
import { RawClient, readBody } from '../testing/raw-client.ts';
import { HeaderFlags, HEADER_SIZE, RELATED_ID } from '../wire/constants.ts';
import { closeRequest, createResponse } from '../wire/create.ts';
import type { FileId } from '../wire/file-id.ts';
import { InfoType, queryDirectoryRequest, queryInfoRequest } from '../wire/query.ts';
import { setNextCommand } from '../wire/header.ts';
import { Status } from '../wire/status.ts';
import { align } from '../wire/struct.ts';
import type { ScanStore, SuspendedScan } from '../registry/suspended-scans.ts';

const [CREATE, CLOSE, READ, QUERY_DIRECTORY, QUERY_INFO] = [5, 6, 8, 14, 16];
const NAMES_INFORMATION = 12;
const names = Array.from({ length: 300 }, (_, i) => `file ${String(i).padStart(4, '0')}`);

class Memory implements ScanStore {
  readonly scans = new Map<string, SuspendedScan>();
  save(key: string, scan: SuspendedScan): Promise<void> {
    // The same conversion as for a file.
    this.scans.set(key, JSON.parse(JSON.stringify(scan)) as SuspendedScan);
    return Promise.resolve();
  }
  take(key: string): Promise<SuspendedScan | undefined> {
    const scan = this.scans.get(key);
    this.scans.delete(key);
    return Promise.resolve(scan);
  }
}

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

function makeShare(): MemoryShare {
  const share = new MemoryShare({ readOnly: true });
  for (const name of names) share.putFile(`films/${name}`, '');
  return share;
}

async function serve(share: MemoryShare, scanStore?: ScanStore, limits?: Partial<Limits>) {
  const bugs: unknown[] = [];
  const server = new SmbServer({
    serverGuid: Buffer.alloc(16, 1),
    serverName: 'TEST',
    shares: [
      { name: 'share', backend: share, guest: true },
      { name: 'other', backend: share, guest: true },
    ],
    durableKey: Buffer.alloc(32, 9),
    limits: { drainPauseMs: 200, drainScansMs: 2000, ...limits },
    ...(scanStore && { scanStore }),
    hooks: { bug: (error) => bugs.push(error) },
  });
  const { port } = await server.listen({ host: '127.0.0.1', port: 0 });
  ends.push(async () => {
    await server.close({ timeoutMs: 500 });
    expect(bugs).toEqual([]);
  });
  const enter = async (to = 'share') => {
    const client = await RawClient.connect(port);
    ends.push(() => client.close());
    await client.enter(to);
    return client;
  };
  return { server, enter };
}

async function openPath(client: RawClient, path: string): Promise<FileId> {
  const reply = await client.request(CREATE, client.createBody(path));
  return createResponse.decode(reply!.packet, HEADER_SIZE).fileId;
}
const openFolder = (client: RawClient) => openPath(client, 'films');

const closeBody = (fileId: FileId) => closeRequest.toBuffer({ flags: 0, fileId });

/** Opens, queries and closes in one compound. */
function lookAt(client: RawClient, path: string, infoType: number): void {
  const fileId = { persistent: RELATED_ID, volatile: RELATED_ID };
  const query = queryInfoRequest.toBuffer(
    {
      infoType,
      infoClass: infoType === InfoType.FILE ? 18 : 3,
      outputBufferLength: 1024,
      inputBufferOffset: 0,
      inputBufferLength: 0,
      additionalInformation: 0,
      flags: 0,
      fileId,
    },
    Buffer.alloc(1),
  );
  const flags = HeaderFlags.RELATED_OPERATIONS;
  const parts = [
    client.message(CREATE, client.createBody(path)),
    client.message(QUERY_INFO, query, { flags }),
    client.message(CLOSE, closeBody(fileId), { flags }),
  ].map((part) => Buffer.concat([part, Buffer.alloc(align(part.length, 8) - part.length)]));
  for (const part of parts.slice(0, -1)) setNextCommand(part, 0, part.length);
  client.sendMessage(Buffer.concat(parts));
}

/** Message ids of the replies that arrive before the server closes the connection. */
async function answeredUntilTheEnd(client: RawClient): Promise<number[]> {
  const ids: number[] = [];
  for (let reply = await client.next(); reply; reply = await client.next()) ids.push(reply.messageId);
  return ids;
}

function readMessage(client: RawClient, fileId: FileId): Buffer {
  return client.message(READ, readBody(fileId, 100));
}

/** One page of about 40 names, or the status of the failure; undefined when the server has closed the connection. */
async function page(client: RawClient, fileId: FileId): Promise<string[] | number | undefined> {
  const body = queryDirectoryRequest.toBuffer(
    {
      informationClass: NAMES_INFORMATION,
      flags: 0,
      fileIndex: 0,
      fileId,
      nameOffset: HEADER_SIZE + queryDirectoryRequest.size,
      nameLength: 2,
      outputBufferLength: 1500,
    },
    Buffer.from('*', 'utf16le'),
  );
  const reply = await client.request(QUERY_DIRECTORY, body);
  if (!reply || reply.status !== Status.SUCCESS) return reply?.status;
  const found: string[] = [];
  for (let at = HEADER_SIZE + 8; ;) {
    found.push(reply.packet.toString('utf16le', at + 12, at + 12 + reply.packet.readUInt32LE(at + 8)));
    const next = reply.packet.readUInt32LE(at);
    if (next === 0) return found.filter((name) => !/^\.\.?$/.test(name));
    at += next;
  }
}

/** The remaining names of a scan. */
async function rest(client: RawClient, fileId: FileId): Promise<string[]> {
  const found: string[] = [];
  for (;;) {
    const got = await page(client, fileId);
    if (!Array.isArray(got)) {
      expect(got).toBe(Status.NO_MORE_FILES);
      return found;
    }
    found.push(...got);
  }
}

describe('a scan whose connection is lost', () => {
  it('goes on over the next one, with what came and went meanwhile', async () => {
    const share = makeShare();
    const { enter } = await serve(share);
    const before = await enter();
    const fileId = await openFolder(before);
    const first = (await page(before, fileId)) as string[];
    before.close();
    share.putFile('films/file 0200a', '');
    const after = await enter();
    const wanted = [...names, 'file 0200a'].sort();
    expect([...first, ...(await rest(after, fileId))]).toEqual(wanted);
    expect(await page(await enter(), fileId)).toBe(Status.FILE_CLOSED);
  });

  it('is nothing to another client, another share, or a FileId that was made up', async () => {
    const { enter } = await serve(makeShare());
    const before = await enter();
    const fileId = await openFolder(before);
    const first = (await page(before, fileId)) as string[];
    before.close();
    const stranger = await enter('other');
    expect(await page(stranger, fileId)).toBe(Status.FILE_CLOSED);
    expect(await page(stranger, { persistent: 1n, volatile: 2n ** 64n - 2n })).toBe(Status.FILE_CLOSED);
    const again = await enter();
    expect(await page(again, { ...fileId, persistent: fileId.persistent ^ 1n })).toBe(Status.FILE_CLOSED);
    expect([...first, ...(await rest(again, fileId))]).toEqual(names);
  });
});

describe('a server that closes', () => {
  it('leaves unfinished scans to the next one', async () => {
    const share = makeShare();
    const store = new Memory();
    const one = await serve(share, store);
    const before = await one.enter();
    const fileId = await openFolder(before);
    const first = (await page(before, fileId)) as string[];
    const ended = await openFolder(before);
    await rest(before, ended);
    await one.server.close();
    expect(await before.next()).toBeUndefined();
    expect(store.scans.size).toBe(1);

    const two = await serve(share, store);
    const after = await two.enter();
    expect([...first, ...(await rest(after, fileId))]).toEqual(names);
    expect(store.scans.size).toBe(0);
  });

  it('lets scans begin and come to their end, and stops there whoever scans', async () => {
    const { server, enter } = await serve(makeShare());
    const [one, two] = [await enter(), await enter()];
    const [first, other] = [await openFolder(one), await openFolder(two)];
    const begun = (await page(one, first)) as string[];
    const closed = server.close();
    expect([...begun, ...(await rest(one, first))]).toEqual(names);
    expect(await rest(two, other)).toEqual(names);
    // Neither client gets the reply to its CLOSE, so neither opens the next directory.
    expect(await one.request(CLOSE, closeBody(first))).toBeUndefined();
    expect(await two.request(CLOSE, closeBody(other))).toBeUndefined();
    await closed;
  });

  it('answers an open at its end, and leaves out what Linux asks for again', async () => {
    const { server, enter } = await serve(makeShare(), undefined, { drainStreamMs: 0 });
    const client = await enter();
    const fileId = await openFolder(client);
    const closed = server.close();
    client.sendMessage(client.message(CLOSE, closeBody(fileId)));
    const infoTypes = [InfoType.FILE, InfoType.FILESYSTEM];
    for (const infoType of infoTypes) lookAt(client, 'films', infoType);
    client.sendMessage(client.message(CREATE, client.createBody('films')));
    const [ofFilesystem, create] = [client.messageId - 4, client.messageId - 1];
    const answered = await answeredUntilTheEnd(client);
    expect(answered.sort((a, b) => a - b)).toEqual([ofFilesystem, create]);
    await closed;
  });

  it('gives a stream last what it waits for', async () => {
    const share = makeShare();
    share.putFile('film', 'x'.repeat(1000));
    const { server, enter } = await serve(share, undefined, { drainStreamMs: 0 });
    const client = await enter();
    const fileId = await openPath(client, 'film');
    const closed = server.close();
    const reads = [0, 1, 2].map(() => readMessage(client, fileId));
    for (const message of reads) client.sendMessage(message);
    client.sendMessage(client.message(CREATE, client.createBody('films')));
    const create = client.messageId - 1;
    const answered = await answeredUntilTheEnd(client);
    expect(answered).toEqual([create - 1, create - 2, create - 3, create]);
    await closed;
  });

  it('does not let others wait for what hangs', async () => {
    let release = (): void => undefined;
    const backend = new MemoryShare({
      readOnly: true,
      delay: (operation) =>
        operation === 'read' ? new Promise<void>((resolve) => (release = resolve)) : undefined,
    });
    backend.putFile('slow', 'slow');
    const { server, enter } = await serve(backend, undefined, { drainStreamMs: 0, drainHoldMs: 50 });
    const client = await enter();
    const fileId = await openPath(client, 'slow');
    const opened = await openPath(client, 'slow');
    client.sendMessage(readMessage(client, fileId));
    const closed = server.close();
    for (let round = 0; round < 3; round++) {
      lookAt(client, 'slow', InfoType.FILE);
      expect((await client.next())?.messageId).toBe(client.messageId - 3);
    }
    client.sendMessage(client.message(CLOSE, closeBody(opened)));
    expect((await client.next())?.messageId).toBe(client.messageId - 1);
    release();
    expect((await client.next())?.packet.subarray(80).toString()).toBe('slow');
    expect(await client.next()).toBeUndefined();
    await closed;
  });

  it('waits for what is slow, and leaves unanswered who would be told to come again', async () => {
    let release = (): void => undefined;
    const backend: MemoryShare = new MemoryShare({
      readOnly: true,
      delay: (operation, node) => {
        if (operation !== 'read') return undefined;
        const name = backend.parent(node)?.name;
        if (name === 'away') return Promise.reject(new StatusError(Status.RETRY));
        return name === 'slow' ? new Promise<void>((resolve) => (release = resolve)) : undefined;
      },
    });
    for (const name of ['slow', 'away', 'good']) backend.putFile(name, name);
    const { server, enter } = await serve(backend);
    const client = await enter();
    const opened = [];
    for (const name of ['slow', 'away', 'good']) opened.push(await openPath(client, name));
    const [slow, away, good] = opened.map((fileId) => () => client.sendMessage(readMessage(client, fileId)));
    slow!();
    const closed = server.close();
    away!();
    good!();
    const text = async () => (await client.next())?.packet.subarray(80).toString();
    // The request before it was sent earlier.
    expect(await text()).toBe('good');
    release();
    expect(await text()).toBe('slow');
    expect(await text()).toBeUndefined();
    await closed;
  });

  it('lets a stream run out of credits, and answers all it has asked', async () => {
    const share = makeShare();
    share.putFile('film', 'x'.repeat(1000));
    const { server, enter } = await serve(share);
    const client = await enter();
    const fileId = await openPath(client, 'film');
    client.sendMessage(readMessage(client, fileId));
    let credits = (await client.next())!.creditRequest;
    let asked = 0;
    let answered = 0;
    // As Linux does: as many requests in flight as there are credits, up to eight.
    const ask = () => {
      for (; credits > 0 && asked - answered < 8; asked++, credits--)
        client.sendMessage(readMessage(client, fileId));
    };
    ask();
    const closed = server.close();
    for (let reply = await client.next(); reply; reply = await client.next()) {
      answered += 1;
      credits += reply.creditRequest;
      ask();
    }
    await closed;
    expect(answered).toBe(asked);
    expect(asked).toBeGreaterThan(50);
  });
});
