import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import fc from 'fast-check';
import type { Limits } from './limits.ts';
import { MemoryShare } from './memory/memory-share.ts';
import { SmbServer } from './server.ts';
import { RawClient, readBody } from './testing/raw-client.ts';
import { HeaderFlags, HEADER_SIZE } from './wire/constants.ts';
import { createResponse } from './wire/create.ts';
import { durableReconnectV1, durableReconnectV2, durableRequestV2, leaseV1 } from './wire/create-contexts.ts';
import type { CreateContext } from './wire/create-contexts.ts';
import type { FileId } from './wire/file-id.ts';
import { setNextCommand } from './wire/header.ts';
import { changeNotifyRequest } from './wire/query.ts';
import { emptyBody } from './wire/session.ts';
import { Status } from './wire/status.ts';

const CREATE = 5;
const READ = 8;
const CANCEL = 12;
const ECHO = 13;
const CHANGE_NOTIFY = 15;
const echo = emptyBody.toBuffer({});

let server: SmbServer;
let share: MemoryShare;
let port: number;
let stuck: (() => void)[];
let malformed: string[];
let disconnected: string[];
let unanswered: number[];
let bugs: unknown[];
const clients: RawClient[] = [];

beforeEach(async () => {
  stuck = [];
  malformed = [];
  disconnected = [];
  unanswered = [];
  bugs = [];
  const backend: MemoryShare = new MemoryShare({
    readOnly: true,
    delay: (operation, node) =>
      operation === 'read' && backend.parent(node)?.name === 'stuck.bin'
        ? new Promise<void>((resolve) => stuck.push(resolve))
        : undefined,
  });
  backend.putFile('hello.txt', 'hello, world');
  backend.putFile('stuck.bin', Buffer.alloc(100_000));
  share = backend;
  await start(Buffer.alloc(32, 9));
});

async function start(
  durableKey: Buffer,
  limits: Partial<Limits> = {},
  continuouslyAvailable = false,
): Promise<void> {
  server = new SmbServer({
    serverGuid: Buffer.alloc(16, 1),
    serverName: 'TEST',
    shares: [{ name: 'share', backend: share, guest: true, continuouslyAvailable }],
    durableKey,
    limits: { interimAfterMs: 300, ...limits },
    hooks: {
      malformed: ({ reason }) => malformed.push(reason),
      disconnected: ({ reason }) => disconnected.push(reason),
      unanswered: ({ requests }) => unanswered.push(requests),
      bug: (error) => bugs.push(error),
    },
  });
  ({ port } = await server.listen({ host: '127.0.0.1', port: 0 }));
}

afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  for (const release of stuck) release();
  await server.close({ timeoutMs: 500 });
  expect(bugs).toEqual([]);
});

async function client(enter = true): Promise<RawClient> {
  const one = await RawClient.connect(port);
  clients.push(one);
  if (enter) await one.enter('share');
  return one;
}

async function open(one: RawClient, path: string): Promise<{ persistent: bigint; volatile: bigint }> {
  const reply = await one.request(CREATE, one.createBody(path));
  expect(reply?.status).toBe(Status.SUCCESS);
  return createResponse.decode(reply!.packet, HEADER_SIZE).fileId;
}

describe('a guest', () => {
  it('opens and reads', async () => {
    const one = await client();
    const reply = await one.request(READ, readBody(await open(one, 'hello.txt'), 100));
    expect(reply?.packet.subarray(80).toString()).toBe('hello, world');
  });

  it('may not use a FileId of which one half is wrong', async () => {
    const one = await client();
    const id = await open(one, 'hello.txt');
    const wrong = { ...id, persistent: id.persistent ^ 1n };
    expect((await one.request(READ, readBody(wrong, 1)))?.status).toBe(Status.FILE_CLOSED);
    const other = await client();
    expect((await other.request(READ, readBody(id, 1)))?.status).toBe(Status.FILE_CLOSED);
  });

  it('gets ECHO answered while a read hangs, and an interim reply for the read', async () => {
    const one = await client();
    const id = await open(one, 'stuck.bin');
    one.sendMessage(one.message(READ, readBody(id, 10)));
    expect(await one.request(ECHO, echo)).toMatchObject({ command: ECHO, status: Status.SUCCESS });
    expect(await one.next()).toMatchObject({ command: READ, status: Status.PENDING });
    stuck.splice(0).forEach((release) => release());
    expect(await one.next()).toMatchObject({ command: READ, status: Status.SUCCESS, creditRequest: 0 });
  });

  it('cancels a CHANGE_NOTIFY', async () => {
    const one = await client();
    const fileId = await open(one, '');
    const body = changeNotifyRequest.toBuffer({
      flags: 1,
      outputBufferLength: 4096,
      fileId,
      completionFilter: 3,
    });
    const pending = await one.request(CHANGE_NOTIFY, body);
    expect(pending).toMatchObject({ status: Status.PENDING });
    const cancel = one.message(CANCEL, echo, { messageId: 0, flags: HeaderFlags.ASYNC_COMMAND });
    cancel.writeUInt32LE(pending!.asyncId % 2 ** 32, 32);
    cancel.writeUInt32LE(Math.floor(pending!.asyncId / 2 ** 32), 36);
    one.sendMessage(cancel);
    expect(await one.next()).toMatchObject({ command: CHANGE_NOTIFY, status: Status.CANCELLED });
  });

  it('gets the failure of a CREATE for everything related to it', async () => {
    const one = await client();
    const create = one.message(CREATE, one.createBody('no such'));
    setNextCommand(create, 0, create.length);
    const id = { persistent: 0xffffffffffffffffn, volatile: 0xffffffffffffffffn };
    const read = one.message(READ, readBody(id, 1), { flags: HeaderFlags.RELATED_OPERATIONS });
    expect(create.length % 8).toBe(0);
    one.sendMessage(Buffer.concat([create, read]));
    const reply = await one.next();
    expect(reply).toMatchObject({ status: Status.OBJECT_NAME_NOT_FOUND });
    const second = reply!.packet.subarray(reply!.nextCommand);
    expect(second.readUInt32LE(8)).toBe(Status.OBJECT_NAME_NOT_FOUND);
  });

  it('is drained, not cut off, when the server stops', async () => {
    const one = await client();
    const id = await open(one, 'stuck.bin');
    one.sendMessage(one.message(READ, readBody(id, 10)));
    await new Promise((resolve) => setTimeout(resolve, 50));
    const closing = server.close({ timeoutMs: 5000 });
    setTimeout(() => stuck.splice(0).forEach((release) => release()), 100);
    expect(await one.next()).toMatchObject({ command: READ, status: Status.SUCCESS });
    expect(await one.next()).toBeUndefined();
    await closing;
  });

  it('tells how many requests it has left unanswered; a CHANGE_NOTIFY is none of them', async () => {
    const one = await client();
    const id = await open(one, 'stuck.bin');
    one.sendMessage(one.message(READ, readBody(id, 10)));
    const fields = { flags: 1, outputBufferLength: 4096, completionFilter: 1 };
    const body = changeNotifyRequest.toBuffer({ ...fields, fileId: await open(one, '') });
    one.sendMessage(one.message(CHANGE_NOTIFY, body));
    await new Promise((resolve) => setTimeout(resolve, 50));
    await server.close({ timeoutMs: 100 });
    expect(unanswered).toEqual([1]);
  });
});

describe('a client that stops reading', () => {
  it('is dropped, and holds no more than its share of memory until then', async () => {
    share.putFile('big.bin', Buffer.alloc(1_000_000));
    await server.close({ timeoutMs: 100 });
    await start(Buffer.alloc(32, 9), {
      sendTimeoutMs: 200,
      maxReadBytesInFlight: 4_000_000,
      maxUnsent: 1_000_000,
    });
    const slow = await client();
    const id = await open(slow, 'big.bin');
    slow.pause();
    for (let index = 0; index < 50; index++) {
      const read = slow.message(READ, readBody(id, 60_000));
      slow.sendMessage(read);
    }
    // The kernel's socket buffers hold more in addition.
    const many = Buffer.concat(
      Array.from({ length: 60 }, () => slow.framed(slow.message(READ, readBody(id, 65_536)))),
    );
    slow.sendRaw(many);
    const brisk = await client();
    expect(await brisk.request(ECHO, echo)).toMatchObject({ status: Status.SUCCESS });
    const isDropped = (): boolean => disconnected.some((reason) => reason === 'the client stopped reading');
    for (let tries = 0; tries < 100 && !isDropped(); tries++)
      await new Promise((resolve) => setTimeout(resolve, 50));
    expect(isDropped()).toBe(true);
    expect(await brisk.request(ECHO, echo)).toMatchObject({ status: Status.SUCCESS });
  });
});

describe('a durable handle of a read-only share', () => {
  const lease = leaseV1.toBuffer({ key: Buffer.alloc(16, 3), state: 3, flags: 0, duration: 0n });
  const reconnect = (fileId: FileId): CreateContext[] => [
    { name: 'DHnC', data: durableReconnectV1.toBuffer({ fileId }) },
    { name: 'RqLs', data: lease },
  ];
  const durable: CreateContext[] = [
    { name: 'DHnQ', data: Buffer.alloc(16) },
    { name: 'RqLs', data: lease },
  ];

  async function openDurable(one: RawClient): Promise<FileId> {
    const reply = await one.request(CREATE, one.createBody('hello.txt', durable));
    expect(reply?.status).toBe(Status.SUCCESS);
    expect(reply!.packet.includes('DHnQ')).toBe(true);
    return createResponse.decode(reply!.packet, HEADER_SIZE).fileId;
  }

  it('is found again after the loss of the connection', async () => {
    const one = await client();
    const id = await openDurable(one);
    one.close();
    const two = await client();
    const reply = await two.request(CREATE, two.createBody('hello.txt', reconnect(id)));
    expect(createResponse.decode(reply!.packet, HEADER_SIZE).fileId).toEqual(id);
    expect((await two.request(READ, readBody(id, 5)))?.status).toBe(Status.SUCCESS);
  });

  it('is made again by a new process with the same key', async () => {
    const id = await openDurable(await client());
    await server.close({ timeoutMs: 100 });
    await start(Buffer.alloc(32, 9));
    const two = await client();
    const reply = await two.request(CREATE, two.createBody('hello.txt', reconnect(id)));
    expect(reply?.status).toBe(Status.SUCCESS);
    const again = createResponse.decode(reply!.packet, HEADER_SIZE).fileId;
    expect(again.persistent).toBe(id.persistent);
    expect(again.volatile).not.toBe(id.volatile);
    expect((await two.request(READ, readBody(again, 5)))?.status).toBe(Status.SUCCESS);
  });

  it('is refused with another key, for another file and for a file that is gone', async () => {
    const id = await openDurable(await client());
    await server.close({ timeoutMs: 100 });
    await start(Buffer.alloc(32, 9));
    const two = await client();
    for (const path of ['stuck.bin', 'gone.txt', 'no\\such\\directory'])
      expect(await two.request(CREATE, two.createBody(path, reconnect(id)))).toMatchObject({
        status: Status.OBJECT_NAME_NOT_FOUND,
      });
    await server.close({ timeoutMs: 100 });
    await start(Buffer.alloc(32, 10));
    const three = await client();
    expect(await three.request(CREATE, three.createBody('hello.txt', reconnect(id)))).toMatchObject({
      status: Status.OBJECT_NAME_NOT_FOUND,
    });
  });
});

describe('a persistent handle', () => {
  const persistent = 2;
  const createGuid = Buffer.alloc(16, 5);
  const request: CreateContext[] = [
    { name: 'DH2Q', data: durableRequestV2.toBuffer({ timeout: 0, flags: persistent, createGuid }) },
  ];
  const again = (fileId: FileId): CreateContext[] => [
    { name: 'DH2C', data: durableReconnectV2.toBuffer({ fileId, createGuid, flags: persistent }) },
  ];
  const flagsOf = (packet: Buffer): number => packet.readUInt32LE(packet.indexOf('DH2Q') + 8 + 4);

  async function startAvailable(): Promise<void> {
    await server.close({ timeoutMs: 100 });
    await start(Buffer.alloc(32, 9), {}, true);
  }

  it('is granted without any caching, and found again after the connection and by the next server', async () => {
    await startAvailable();
    const one = await client();
    const reply = (await one.request(CREATE, one.createBody('hello.txt', request)))!;
    expect(flagsOf(reply.packet)).toBe(persistent);
    const { fileId } = createResponse.decode(reply.packet, HEADER_SIZE);
    one.close();
    const two = await client();
    const back = (await two.request(CREATE, two.createBody('hello.txt', again(fileId))))!;
    expect(createResponse.decode(back.packet, HEADER_SIZE).fileId).toEqual(fileId);
    await startAvailable();
    const three = await client();
    const after = (await three.request(CREATE, three.createBody('hello.txt', again(fileId))))!;
    expect(after.status).toBe(Status.SUCCESS);
    const { fileId: now } = createResponse.decode(after.packet, HEADER_SIZE);
    expect((await three.request(READ, readBody(now, 5)))?.status).toBe(Status.SUCCESS);
  });

  it('is none on another share', async () => {
    const one = await client();
    const reply = (await one.request(CREATE, one.createBody('hello.txt', request)))!;
    expect(reply.packet.includes('DH2Q')).toBe(false);
  });
});

describe('the connection ends with', () => {
  const cases: [string, (one: RawClient) => void][] = [
    ['a request before NEGOTIATE', (one) => one.sendMessage(one.message(ECHO, echo))],
    ['a frame of another type', (one) => one.sendRaw(Buffer.from([0x81, 0, 0, 10]))],
    ['a frame longer than allowed', (one) => one.sendRaw(Buffer.from([0, 0x80, 0, 0]))],
    ['something that is not SMB', (one) => one.sendMessage(Buffer.alloc(100, 0x41))],
    [
      'an SMB1 dialect list without SMB2',
      (one) => one.sendMessage(Buffer.from('ff534d4272' + '00'.repeat(40), 'hex')),
    ],
    [
      'a sealed message without a session',
      (one) => one.sendMessage(Buffer.from('fd534d42' + '00'.repeat(100), 'hex')),
    ],
  ];
  it.each(cases)('%s', async (_name, act) => {
    const one = await client(false);
    act(one);
    expect(await one.next()).toBeUndefined();
    expect(malformed).toHaveLength(1);
  });

  it('a message id used twice or outside the window', async () => {
    for (const messageId of [0, 100_000]) {
      const one = await client();
      one.sendMessage(one.message(ECHO, echo, { messageId }));
      expect(await one.next()).toBeUndefined();
    }
  });

  it('a NextCommand that is not aligned, too short or outside', async () => {
    for (const distance of [4, 8, 65, 72_000]) {
      const one = await client();
      const message = one.message(ECHO, Buffer.concat([echo, Buffer.alloc(4)]));
      setNextCommand(message, 0, distance);
      one.sendMessage(message);
      expect(await one.next()).toBeUndefined();
    }
  });
});

describe('an error and nothing else', () => {
  it('is what a wrong StructureSize, a lying offset and too small a charge get', async () => {
    const one = await client();
    const wrongSize = one.createBody('hello.txt');
    wrongSize.writeUInt16LE(58, 0);
    expect((await one.request(CREATE, wrongSize))?.status).toBe(Status.INVALID_PARAMETER);
    const outside = one.createBody('hello.txt');
    outside.writeUInt16LE(0xffff, 44);
    expect((await one.request(CREATE, outside))?.status).toBe(Status.INVALID_PARAMETER);
    const id = await open(one, 'hello.txt');
    expect((await one.request(READ, readBody(id, 65_537)))?.status).toBe(Status.INVALID_PARAMETER);
    expect(await one.request(ECHO, echo)).toMatchObject({ status: Status.SUCCESS });
  });

  it('never takes the server down, whatever the bytes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 20 }),
        fc.uint8Array({ maxLength: 120 }),
        async (command, body) => {
          const one = await client();
          one.sendMessage(one.message(command, Buffer.concat([Buffer.from(body), Buffer.alloc(2)])));
          one.sendMessage(one.message(ECHO, echo));
          await one.next();
          one.close();
        },
      ),
      { numRuns: 60 },
    );
    const after = await client();
    expect(await after.request(ECHO, echo)).toMatchObject({ status: Status.SUCCESS });
  });
});
