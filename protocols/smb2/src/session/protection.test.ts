import { afterEach, describe, expect, it } from 'vitest';
import { MemoryShare } from '../memory/memory-share.ts';
import { Media, openPath, TestKit } from '../testing/kit.ts';
import { treeConnectBody } from '../testing/raw-client.ts';
import type { RawReply } from '../testing/raw-client.ts';
import type { Protection, UserClient } from '../testing/user-client.ts';
import { Command, Dialect, HeaderFlags, HEADER_SIZE, LeaseState } from '../wire/constants.ts';
import { leaseV1 } from '../wire/create-contexts.ts';
import { leaseBreakNotification } from '../wire/oplock-break.ts';
import { emptyBody } from '../wire/session.ts';
import { Status } from '../wire/status.ts';
import { arrivals, departures } from './protection.ts';

const empty = emptyBody.toBuffer({});
const plain: Protection = {};
const signed: Protection = { sign: true };
const sealed: Protection = { seal: true };

let kit: TestKit;
afterEach(() => kit.end());

async function serve(signing: 'auto' | 'required' = 'auto', encryption: 'auto' | 'required' = 'auto') {
  kit = new TestKit();
  const share = new MemoryShare();
  share.putFile('hello.txt', 'hello');
  await kit.serve(share, {
    signing,
    encryption,
    shares: [
      { name: 'share', backend: share, guest: true },
      { name: 'sealed', backend: share, guest: false, encrypt: true },
    ],
  });
}

/** The result of a request: a status, `no answer` or `disconnected`. */
async function outcome(client: UserClient, command: number, body: Buffer, protection: Protection) {
  const message = client.protect(client.message(command, body), protection);
  return await sent(client, message);
}

async function sent(client: UserClient, message: Buffer): Promise<RawReply | 'no answer' | 'disconnected'> {
  client.sendMessage(message);
  const mark = client.messageId;
  // Replies come in order: if the reply to the ECHO comes first, there is no other.
  client.sendMessage(
    client.protect(client.message(Command.ECHO, empty), { sign: client.signer !== undefined }),
  );
  const reply = await client.next();
  if (!reply) return 'disconnected';
  if (reply.messageId === mark) return 'no answer';
  await client.next();
  return reply;
}

/** One case for each row of the table, by section and name. */
const arrivalCases: Record<string, () => Promise<void>> = {
  'sealed by another session than it names': async () => {
    await serve();
    const client = await kit.user({ share: 'share' });
    client.sessionId = 0;
    await client.logOn(Media);
    // Sealed with the key of the first session.
    const message = client.message(Command.ECHO, empty);
    client.sendMessage(client.protect(message, sealed));
    expect(await client.next()).toBeUndefined();
  },
  'sealed: the seal is proof enough': async () => {
    await serve('required');
    const client = await kit.user();
    expect(await outcome(client, Command.TREE_CONNECT, treeConnectBody('share'), sealed)).toMatchObject({
      status: Status.SUCCESS,
      isSealed: true,
    });
  },
  'signed for a session that is not there': async () => {
    await serve();
    const client = await kit.user();
    client.sessionId += 1;
    expect(await outcome(client, Command.ECHO, empty, signed)).toMatchObject({
      status: Status.USER_SESSION_DELETED,
    });
  },
  'signed with a wrong signature': async () => {
    await serve();
    const client = await kit.user();
    for (const command of [Command.LOGOFF, Command.TREE_CONNECT, Command.ECHO]) {
      const body = command === Command.TREE_CONNECT ? treeConnectBody('share') : empty;
      const message = client.protect(client.message(command, body), signed);
      message[50]! ^= 1;
      expect(await sent(client, message)).toMatchObject({ status: Status.ACCESS_DENIED });
    }
    const cancel = client.protect(client.message(Command.CANCEL, empty, { messageId: 0 }), signed);
    cancel[50]! ^= 1;
    expect(await sent(client, cancel)).toBe('no answer');
  },
  'unsigned in a session that signs, whatever the command': async () => {
    await serve('required');
    const client = await kit.user({ dialect: Dialect.SMB_3_0_2, share: 'share' });
    for (const command of [Command.ECHO, Command.TREE_CONNECT, Command.LOGOFF, Command.TREE_DISCONNECT]) {
      const body = command === Command.TREE_CONNECT ? treeConnectBody('share') : empty;
      expect(await outcome(client, command, body, plain)).toMatchObject({ status: Status.ACCESS_DENIED });
    }
    expect(await client.logOn({ ...Media, password: 'wrong' })).toMatchObject({
      status: Status.ACCESS_DENIED,
    });
    // The session continues to work.
    expect(await outcome(client, Command.TREE_CONNECT, treeConnectBody('share'), signed)).toMatchObject({
      status: Status.SUCCESS,
    });
    expect(await openPath(client, 'hello.txt')).toBeDefined();
  },
  'unsigned TREE_CONNECT of a 3.1.1 user': async () => {
    await serve();
    const client = await kit.user();
    expect(await outcome(client, Command.TREE_CONNECT, treeConnectBody('share'), plain)).toBe('disconnected');
    // A guest has no key to sign with, and other dialects do not require a signature.
    const guest = await kit.negotiated();
    await guest.logOn();
    expect(await outcome(guest, Command.TREE_CONNECT, treeConnectBody('share'), plain)).toMatchObject({
      status: Status.SUCCESS,
    });
    const older = await kit.user({ dialect: Dialect.SMB_3_0_2 });
    expect(await outcome(older, Command.TREE_CONNECT, treeConnectBody('share'), plain)).toMatchObject({
      status: Status.SUCCESS,
    });
  },
  'SESSION_SETUP is never sealed by force': async () => {
    await serve('auto', 'required');
    const client = await kit.user();
    expect(await client.logOn({ ...Media, sign: true })).toMatchObject({ status: Status.SUCCESS });
  },
  'plaintext in a session that seals': async () => {
    await serve('auto', 'required');
    const client = await kit.user();
    for (const protection of [signed, plain]) {
      const body = treeConnectBody('share');
      if (protection === signed)
        expect(await outcome(client, Command.TREE_CONNECT, body, protection)).toMatchObject({
          status: Status.ACCESS_DENIED,
        });
      expect(await outcome(client, Command.LOGOFF, empty, protection)).toMatchObject({
        status: Status.ACCESS_DENIED,
      });
    }
    expect(await outcome(client, Command.TREE_CONNECT, treeConnectBody('share'), sealed)).toMatchObject({
      status: Status.SUCCESS,
    });
  },
  'plaintext for a share that seals': async () => {
    await serve();
    const client = await kit.user({ share: 'sealed' });
    const body = client.createBody('hello.txt');
    for (const protection of [signed, plain])
      expect(await outcome(client, Command.CREATE, body, protection)).toMatchObject({
        status: Status.ACCESS_DENIED,
      });
    expect(await outcome(client, Command.CREATE, body, sealed)).toMatchObject({
      status: Status.SUCCESS,
      isSealed: true,
    });
  },
};

describe('what has to be signed or sealed', () => {
  it('has a case for each row of the table', () => {
    kit = new TestKit();
    expect(arrivals.map(({ name }) => name)).toEqual(Object.keys(arrivalCases));
  });

  it.each(Object.entries(arrivalCases))('%s', (_name, run) => run());
});

const departureCases: Record<string, () => Promise<void>> = {
  'a sealed reply': async () => {
    await serve('required');
    const client = await kit.user({ share: 'share' });
    const reply = (await client.ask(Command.ECHO, empty, sealed))!;
    expect([reply.isSealed, reply.flags & HeaderFlags.SIGNED]).toEqual([true, 0]);
  },
  'without a key': async () => {
    await serve();
    const guest = await kit.negotiated();
    const reply = (await guest.logOn())!;
    expect([reply.status, reply.flags & HeaderFlags.SIGNED]).toEqual([Status.SUCCESS, 0]);
  },
  'an interim reply': async () => {
    await serve('required');
    const client = await kit.user({ share: 'share', signing: 'aes-gmac' });
    const fileId = await openPath(client, '', [], { desiredAccess: 0x81 });
    const body = Buffer.alloc(32);
    body.writeUInt16LE(32, 0);
    body.writeUInt32LE(4096, 4);
    body.writeBigUInt64LE(fileId.persistent, 8);
    body.writeBigUInt64LE(fileId.volatile, 16);
    body.writeUInt32LE(3, 24);
    const reply = (await client.ask(Command.CHANGE_NOTIFY, body))!;
    expect([reply.status, reply.flags & HeaderFlags.SIGNED]).toEqual([Status.PENDING, 0]);
  },
  'the last reply of a SESSION_SETUP proves the key': async () => {
    await serve();
    const client = await kit.negotiated();
    expect(client.isSigned((await client.logOn(Media))!)).toBe(true);
  },
  'in a session that signs': async () => {
    await serve('required');
    const client = await kit.user({ share: 'share' });
    // Even the error reply to an unsigned request is signed.
    expect(client.isSigned((await client.ask(Command.ECHO, empty, plain))!)).toBe(true);
  },
  'to a signed request': async () => {
    await serve();
    const client = await kit.user({ share: 'share' });
    expect(client.isSigned((await client.ask(Command.ECHO, empty, signed))!)).toBe(true);
    expect(client.isSigned((await client.ask(Command.ECHO, empty, plain))!)).toBe(false);
  },
};

describe('what is signed of the replies', () => {
  it('has a case for each row of the table', () => {
    kit = new TestKit();
    expect(departures.map(({ name }) => name)).toEqual(Object.keys(departureCases));
  });

  it.each(Object.entries(departureCases))('%s', (_name, run) => run());
});

describe('a break', () => {
  const lease = (key: number): Buffer =>
    leaseV1.toBuffer({
      key: Buffer.alloc(16, key),
      state: LeaseState.READ | LeaseState.WRITE,
      flags: 0,
      duration: 0n,
    });

  it.each([
    ['sealed', true],
    ['share', false],
  ])('of the share %s is sealed: %s', async (share, isSealed) => {
    await serve();
    const one = await kit.user({ share });
    one.protection = isSealed ? sealed : signed;
    const two = await kit.user({ share, clientGuid: Buffer.alloc(16, 8) });
    two.protection = one.protection;
    await openPath(one, 'hello.txt', [{ name: 'RqLs', data: lease(1) }]);
    two.sendMessage(two.protect(two.message(Command.CREATE, two.createBody('hello.txt'))));
    const notice = (await one.next())!;
    expect([notice.command, notice.isSealed]).toEqual([Command.OPLOCK_BREAK, isSealed]);
    expect(notice.flags & HeaderFlags.SIGNED).toBe(0);
    expect(leaseBreakNotification.decode(notice.packet, HEADER_SIZE).leaseKey).toEqual(Buffer.alloc(16, 1));
  });
});
