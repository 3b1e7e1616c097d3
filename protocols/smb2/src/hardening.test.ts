/** What one client must not be able to do to the server or to other clients. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MemoryShare } from './memory/memory-share.ts';
import { Media, openPath, Other, TestKit } from './testing/kit.ts';
import { anonymousMessage, negotiateMessage } from './testing/ntlm-client.ts';
import { RawClient, setupBody } from './testing/raw-client.ts';
import { Command, Dialect, HEADER_SIZE, LeaseState, OplockLevel } from './wire/constants.ts';
import { closeRequest, createResponse } from './wire/create.ts';
import { durableReconnectV1, durableRequestV2, leaseV1, leaseV2 } from './wire/create-contexts.ts';
import type { CreateContext } from './wire/create-contexts.ts';
import type { FileId } from './wire/file-id.ts';
import { lockElement, lockRequest } from './wire/io.ts';
import { ioctlRequest } from './wire/query.ts';
import { emptyBody } from './wire/session.ts';
import { Status } from './wire/status.ts';

const empty = emptyBody.toBuffer({});
let kit: TestKit;
let share: MemoryShare;
let stuck: (() => void)[];
beforeEach(() => {
  kit = new TestKit();
  stuck = [];
  share = new MemoryShare({
    delay: (operation, node) =>
      operation === 'attributes' && share.parent(node)?.name === 'stuck.txt' && stuck.length > 0
        ? new Promise<void>((resolve) => stuck.push(resolve))
        : undefined,
  });
  share.putFile('hello.txt', 'hello, world');
  share.putFile('stuck.txt', 'hello, world');
});
afterEach(() => kit.end());

const closeBody = (fileId: FileId): Buffer => closeRequest.toBuffer({ flags: 0, fileId });

describe('a session', () => {
  it('of a guest cannot become one of a user, who could not sign', async () => {
    await kit.serve(share, { signing: 'required' });
    const client = await kit.negotiated();
    await client.logOn();
    expect(await client.logOn(Media)).toMatchObject({ status: Status.ACCESS_DENIED });
    expect(await client.connectTree('share', {})).toMatchObject({ status: Status.USER_SESSION_DELETED });
  });

  it('outlives junk, and its durable opens a wrong password', async () => {
    await kit.serve(share);
    const client = await kit.user({ share: 'share' });
    const lease = leaseV1.toBuffer({ key: Buffer.alloc(16, 3), state: 3, flags: 0, duration: 0n });
    const fileId = await openPath(client, 'hello.txt', [
      { name: 'DHnQ', data: Buffer.alloc(16) },
      { name: 'RqLs', data: lease },
    ]);
    const junk = await client.ask(Command.SESSION_SETUP, setupBody(Buffer.from('junk')));
    expect(junk).toMatchObject({ status: Status.INVALID_PARAMETER });
    expect(await openPath(client, 'stuck.txt')).toBeDefined();
    expect(await client.logOn({ ...Media, password: 'wrong', sign: true })).toMatchObject({
      status: Status.LOGON_FAILURE,
    });
    const again = await kit.user({ share: 'share' });
    const reconnect: CreateContext[] = [
      { name: 'DHnC', data: durableReconnectV1.toBuffer({ fileId }) },
      { name: 'RqLs', data: lease },
    ];
    expect(await openPath(again, 'hello.txt', reconnect)).toEqual(fileId);
  });

  const setUp = async (client: RawClient, previousSessionId: number) => {
    for (const token of [negotiateMessage(), anonymousMessage()])
      client.sessionId =
        (await client.request(Command.SESSION_SETUP, setupBody(token, { previousSessionId })))?.sessionId ??
        0;
  };

  it('of a guest is not ended by another guest who names it as its previous one', async () => {
    await kit.serve(share);
    const victim = await kit.guest();
    const other = await kit.raw();
    await other.negotiate(0x0302, Buffer.alloc(16, 8));
    await setUp(other, victim.sessionId);
    expect(await openPath(victim, 'hello.txt')).toBeDefined();
    // The same machine may do it, since it has lost its connection.
    const same = await kit.raw();
    await same.negotiate();
    await setUp(same, victim.sessionId);
    expect(await victim.request(Command.CREATE, victim.createBody('hello.txt'))).toMatchObject({
      status: Status.USER_SESSION_DELETED,
    });
  });

  it('of a user is not ended by another user of the same machine', async () => {
    await kit.serve(share);
    const victim = await kit.user({ share: 'share' });
    await kit.user({ logOn: { ...Other, previousSessionId: victim.sessionId } });
    expect(await openPath(victim, 'hello.txt')).toBeDefined();
    await kit.user({ logOn: { previousSessionId: victim.sessionId } });
    expect(await victim.ask(Command.CREATE, victim.createBody('hello.txt'))).toMatchObject({
      status: Status.USER_SESSION_DELETED,
    });
  });

  it('has an id of more than 32 bits', async () => {
    await kit.serve(share);
    const ids = await Promise.all([1, 2, 3, 4].map(async () => (await kit.guest()).sessionId));
    expect(Math.max(...ids)).toBeGreaterThan(2 ** 32);
  });
});

describe('the connection ends with', () => {
  it('a second NEGOTIATE', async () => {
    await kit.serve(share);
    const client = await kit.guest();
    client.sessionId = 0;
    expect(await client.negotiate()).toBeUndefined();
    expect(kit.malformed).toHaveLength(1);
  });

  it('VALIDATE_NEGOTIATE_INFO that differs from NEGOTIATE', async () => {
    await kit.serve(share);
    const client = await kit.user({ dialect: Dialect.SMB_3_0_2, share: 'share' });
    const input = Buffer.alloc(26, 1);
    input.writeUInt16LE(1, 22);
    const body = ioctl(0x00140204, { persistent: 0xffffffffffffffffn, volatile: 0xffffffffffffffffn }, input);
    expect(await client.ask(Command.IOCTL, body)).toBeUndefined();
  });
});

const ioctl = (controlCode: number, fileId: FileId, input: Buffer): Buffer =>
  ioctlRequest.toBuffer(
    {
      controlCode,
      fileId,
      inputOffset: HEADER_SIZE + ioctlRequest.size,
      inputCount: input.length,
      maxInputResponse: 0,
      outputOffset: 0,
      outputCount: 0,
      maxOutputResponse: 1024,
      flags: 1,
    },
    input,
  );

describe('CLOSE', () => {
  it('succeeds once, however fast another follows', async () => {
    await kit.serve(share);
    const client = await kit.guest();
    const fileId = await openPath(client, 'hello.txt');
    const two = [1, 2].map(() => client.framed(client.message(Command.CLOSE, closeBody(fileId))));
    client.sendRaw(Buffer.concat(two));
    const statuses = [(await client.next())?.status, (await client.next())?.status].sort();
    expect(statuses).toEqual([Status.SUCCESS, Status.FILE_CLOSED]);
  });

  it('waits for an IOCTL in progress', async () => {
    await kit.serve(share);
    const client = await kit.guest();
    const fileId = await openPath(client, 'stuck.txt');
    stuck.push(() => undefined);
    client.sendMessage(client.message(Command.IOCTL, ioctl(0x000900c0, fileId, Buffer.alloc(0))));
    client.sendMessage(client.message(Command.CLOSE, closeBody(fileId)));
    expect(await client.request(Command.ECHO, empty)).toMatchObject({ command: Command.ECHO });
    for (const release of stuck.splice(0)) release();
    expect(await client.next()).toMatchObject({ command: Command.IOCTL, status: Status.SUCCESS });
    expect(await client.next()).toMatchObject({ command: Command.CLOSE, status: Status.SUCCESS });
  });
});

it('LOCK needs a right to the content', async () => {
  await kit.serve(share);
  const client = await kit.guest();
  const looking = await openPath(client, 'hello.txt', [], { desiredAccess: 0x80 });
  expect(await client.request(Command.LOCK, lockBody(looking))).toMatchObject({
    status: Status.ACCESS_DENIED,
  });
  const reading = await openPath(client, 'hello.txt');
  expect(await client.request(Command.LOCK, lockBody(reading))).toMatchObject({ status: Status.SUCCESS });
});

it('CANCEL is never answered, not even a malformed one', async () => {
  await kit.serve(share);
  const client = await kit.guest();
  client.sendMessage(client.message(Command.CANCEL, Buffer.alloc(4), { messageId: 0 }));
  expect(await client.request(Command.ECHO, empty)).toMatchObject({ command: Command.ECHO });
});

/** A lock of the first byte that fails immediately on a conflict. */
const lockBody = (fileId: FileId): Buffer =>
  lockRequest.toBuffer(
    { lockCount: 1, lockSequence: 0, fileId },
    lockElement.toBuffer({ offset: 0n, length: 1n, flags: 0x12 }),
  );

describe('caching', () => {
  const readOnly = new MemoryShare({ readOnly: true });
  for (const name of ['hello.txt', 'other.txt']) readOnly.putFile(name, 'hello, world');
  const all = LeaseState.READ | LeaseState.WRITE | LeaseState.HANDLE;
  const lease = leaseV1.toBuffer({ key: Buffer.alloc(16, 3), state: all, flags: 0, duration: 0n });

  it('of a read-only share is that of readers', async () => {
    await kit.serve(readOnly);
    const client = await kit.guest();
    const body = client.createBody('hello.txt', [{ name: 'RqLs', data: lease }]);
    const reply = (await client.request(Command.CREATE, body))!;
    const at = reply.packet.indexOf('RqLs') + 8;
    expect(leaseV1.decode(reply.packet, at).state).toBe(LeaseState.READ | LeaseState.HANDLE);
    for (const oplockLevel of [OplockLevel.EXCLUSIVE, OplockLevel.BATCH]) {
      const one = await kit.guest();
      const create = one.createBody('other.txt', [], { oplockLevel });
      const { packet } = (await one.request(Command.CREATE, create))!;
      expect(createResponse.decode(packet, HEADER_SIZE).oplockLevel).toBe(OplockLevel.II);
    }
  });

  it('is given up with the connection that would have to', async () => {
    await kit.serve(share);
    const silent = await kit.user({ share: 'share' });
    const request = leaseV2.toBuffer({
      key: Buffer.alloc(16, 3),
      state: all,
      flags: 0,
      duration: 0n,
      parentKey: Buffer.alloc(16),
      epoch: 0,
    });
    const durable = durableRequestV2.toBuffer({ timeout: 0, flags: 0, createGuid: Buffer.alloc(16, 1) });
    await openPath(silent, 'hello.txt', [
      { name: 'RqLs', data: request },
      { name: 'DH2Q', data: durable },
    ]);
    const other = await kit.user({ share: 'share', clientGuid: Buffer.alloc(16, 8) });
    const opening = openPath2(other);
    expect(await silent.next()).toMatchObject({ command: Command.OPLOCK_BREAK });
    silent.close();
    expect(await opening).toBe(Status.SUCCESS);
  });

  it.each([
    ['is kept', 'RWH', all, 1],
    ['is not kept', 'RH', LeaseState.READ | LeaseState.HANDLE, 0],
  ])('a durable open with a lock %s with a lease for %s', async (_what, _lease, state, left) => {
    const server = await kit.serve(share);
    const client = await kit.guest();
    const fileId = await openPath(client, 'hello.txt', [
      { name: 'RqLs', data: leaseV1.toBuffer({ key: Buffer.alloc(16, 3), state, flags: 0, duration: 0n }) },
      { name: 'DHnQ', data: Buffer.alloc(16) },
    ]);
    const locked = await client.request(Command.LOCK, lockBody(fileId));
    expect(locked).toMatchObject({ status: Status.SUCCESS });
    client.close();
    await expect.poll(() => server.statistics.connections).toBe(0);
    expect(server.statistics.opens).toBe(left);
  });

  /** The final status of a CREATE, after its interim reply. */
  async function openPath2(client: Awaited<ReturnType<TestKit['user']>>): Promise<number | undefined> {
    const first = await client.ask(Command.CREATE, client.createBody('hello.txt'));
    return first?.status === Status.PENDING ? (await client.next())?.status : first?.status;
  }
});
