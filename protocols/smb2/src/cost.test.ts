/** What one client may use of the server, and what it cannot take from other clients. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MemoryShare } from './memory/memory-share.ts';
import { Media, openPath, TestKit } from './testing/kit.ts';
import { negotiateMessage } from './testing/ntlm-client.ts';
import { readBody, setupBody } from './testing/raw-client.ts';
import type { RawClient } from './testing/raw-client.ts';
import { Command } from './wire/constants.ts';
import type { FileId } from './wire/file-id.ts';
import { lockElement, lockRequest } from './wire/io.ts';
import { Status } from './wire/status.ts';

let kit: TestKit;
let share: MemoryShare;
beforeEach(() => {
  kit = new TestKit();
  share = new MemoryShare({ readOnly: true });
  share.putFile('film.mkv', Buffer.alloc(1000));
});
afterEach(() => kit.end());

async function begin(client: RawClient): Promise<number | undefined> {
  client.sessionId = 0;
  return (await client.request(Command.SESSION_SETUP, setupBody(negotiateMessage())))?.status;
}

describe('authentications that are begun and not finished', () => {
  it('are four on a connection, and given up in time', async () => {
    await kit.serve(share, { limits: { setupTimeoutMs: 300 } });
    const client = await kit.raw();
    await client.negotiate();
    for (let index = 0; index < 4; index++) expect(await begin(client)).toBe(Status.MORE_PROCESSING_REQUIRED);
    expect(await begin(client)).toBe(Status.INSUFFICIENT_RESOURCES);
    await expect.poll(() => begin(client), { timeout: 3000 }).toBe(Status.MORE_PROCESSING_REQUIRED);
  });

  it('are bounded in all: the oldest gives way', async () => {
    const server = await kit.serve(share, { limits: { maxSetups: 6 } });
    const clients = [await kit.raw(), await kit.raw(), await kit.raw()];
    for (const client of clients) {
      await client.negotiate();
      for (let index = 0; index < 4; index++)
        expect(await begin(client)).toBe(Status.MORE_PROCESSING_REQUIRED);
    }
    expect(server.statistics.sessions).toBe(6);
    // A client that completes its logon at once still gets in.
    expect(await openPath(await kit.guest(), 'film.mkv')).toBeDefined();
  });
});

describe('a frame', () => {
  it('that is begun has to be finished', async () => {
    await kit.serve(share, { limits: { frameTimeoutMs: 300 } });
    const client = await kit.guest();
    client.sendRaw(Buffer.from([0, 0, 1, 0, 0xfe]));
    expect(await client.next()).toBeUndefined();
  });

  it('has its own time, also when it begins with the end of another', async () => {
    const limit = 500;
    await kit.serve(share, { limits: { frameTimeoutMs: limit } });
    const client = await kit.guest();
    // Keep-alives (RFC 1002 4.3.5) are frames without content, four bytes long.
    const keepAlive = Buffer.from([0x85, 0, 0, 0]);
    const shifted = Buffer.concat([keepAlive.subarray(2), keepAlive.subarray(0, 2)]);
    client.sendRaw(keepAlive.subarray(0, 2));
    for (let sent = 0; sent < 10; sent++) {
      await delay((4 * limit) / 10);
      client.sendRaw(shifted);
    }
    client.sendRaw(keepAlive.subarray(2));
    expect(await client.request(Command.ECHO, Buffer.from([4, 0, 0, 0]))).toBeDefined();
  });

  it('of a client that can write nothing is a small one', async () => {
    await kit.serve(share);
    const reader = await kit.guest();
    reader.sendRaw(Buffer.from([0, 0x10, 0, 0]));
    expect(await reader.next()).toBeUndefined();
    expect(kit.malformed).toEqual([expect.stringContaining('at most 262144')]);
  });

  it('of a client that can write may be a large one', async () => {
    await kit.serve(new MemoryShare());
    const writer = await kit.guest();
    writer.sendRaw(Buffer.from([0, 0x10, 0, 0]));
    const other = await kit.guest();
    expect(await other.request(Command.ECHO, Buffer.from([4, 0, 0, 0]))).toBeDefined();
    expect(kit.malformed).toEqual([]);
  });
});

describe('a guest of a read-only share', () => {
  const lockBody = (fileId: FileId): Buffer =>
    lockRequest.toBuffer(
      { lockCount: 1, lockSequence: 0, fileId },
      lockElement.toBuffer({ offset: 0n, length: 1000n, flags: 0x12 }),
    );

  it('keeps nobody out by locks and share modes but itself', async () => {
    await kit.serve(share);
    const one = await kit.guest();
    const two = await kit.guest();
    const shared = await openPath(one, 'film.mkv');
    const theirs = await openPath(two, 'film.mkv');
    expect(await one.request(Command.LOCK, lockBody(shared))).toMatchObject({ status: Status.SUCCESS });
    expect(await two.request(Command.READ, readBody(theirs, 10))).toMatchObject({ status: Status.SUCCESS });
    expect(await two.request(Command.LOCK, lockBody(theirs))).toMatchObject({ status: Status.SUCCESS });
    const again = await openPath(one, 'film.mkv');
    expect(await one.request(Command.READ, readBody(again, 10))).toMatchObject({
      status: Status.FILE_LOCK_CONFLICT,
    });
    await openPath(two, 'film.mkv');
    const denying = await kit.guest();
    await openPath(denying, 'film.mkv', [], { shareAccess: 0 });
    expect(await openPath(one, 'film.mkv')).toBeDefined();
    expect(await denying.request(Command.CREATE, denying.createBody('film.mkv'))).toMatchObject({
      status: Status.SHARING_VIOLATION,
    });
  });

  it('leaves opens to clients elsewhere', async () => {
    const server = await kit.serve(share, { limits: { maxOpensPerAddress: 10 } });
    const clients = [await kit.guest(), await kit.guest()];
    const statuses: (number | undefined)[] = [];
    for (const client of clients)
      for (let index = 0; index < 6; index++)
        statuses.push((await client.request(Command.CREATE, client.createBody('film.mkv')))?.status);
    expect(statuses.filter((status) => status === Status.SUCCESS)).toHaveLength(10);
    expect(statuses.at(-1)).toBe(Status.INSUFFICIENT_RESOURCES);
    clients[0]!.close();
    await expect.poll(() => server.statistics.opens).toBe(4);
    expect(await openPath(clients[1]!, 'film.mkv')).toBeDefined();
  });
});

describe('wrong passwords', () => {
  it('make the next logons of the address wait, a guest between them or not', async () => {
    const limits = { freeLogonFailures: 2, logonIntervalMs: 500, maxWaitingLogons: 2 };
    await kit.serve(share, { limits });
    const attempt = async (password: string | undefined) => {
      const client = await kit.negotiated();
      return (await client.logOn(password === undefined ? {} : { ...Media, password }))?.status;
    };
    for (const wrong of ['one', 'two']) expect(await attempt(wrong)).toBe(Status.LOGON_FAILURE);
    const began = performance.now();
    const rush = await Promise.all(
      [undefined, Media.password, undefined, 'three'].map((password) => attempt(password)),
    );
    // Correct logons wait as well. Logons beyond the queue are refused unchecked.
    expect(rush.filter((status) => status === Status.INSUFFICIENT_RESOURCES)).toHaveLength(2);
    expect(performance.now() - began).toBeGreaterThan(990);
  });
});

it('an address of no share is refused before anything is read', async () => {
  await kit.serve(share, {}, { allow: () => false });
  const client = await kit.raw();
  expect(await client.next()).toBeUndefined();
});
