import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MemoryShare } from '../memory/memory-share.ts';
import { Media, openPath, Other, TestKit } from '../testing/kit.ts';
import type { NegotiateOptions, UserClient } from '../testing/user-client.ts';
import { Command, Dialect, HEADER_SIZE, LeaseState, RELATED_ID } from '../wire/constants.ts';
import { leaseV1 } from '../wire/create-contexts.ts';
import { ioctlRequest, ioctlResponse } from '../wire/query.ts';
import { emptyBody } from '../wire/session.ts';
import { SESSION_FLAG_BINDING } from '../wire/session.ts';
import { Status } from '../wire/status.ts';

const empty = emptyBody.toBuffer({});
const interfaces = () => [
  { address: '10.1.2.3', index: 2, linkSpeed: 1e10, isParallel: true },
  { address: 'fd00::5', index: 3, linkSpeed: 1e9, isParallel: false },
];

let kit: TestKit;
let share: MemoryShare;
beforeEach(() => {
  kit = new TestKit();
  share = new MemoryShare();
  share.putFile('film.mkv', 'film');
});
afterEach(() => kit.end());

/** Binds a second connection to the session of `first`. */
async function bind(
  first: UserClient,
  options: NegotiateOptions & { user?: string; password?: string; sign?: boolean } = {},
) {
  const client = await kit.negotiated(options);
  client.sessionId = first.sessionId;
  client.treeId = first.treeId;
  client.signer = first.signer;
  client.sealer = first.sealer;
  const { user = Media.user, password = Media.password, sign = true } = options;
  const reply = await client.logOn({ user, password, sign, flags: SESSION_FLAG_BINDING });
  client.protection = { sign: true };
  return { client, status: reply?.status };
}

describe.each([
  ['3.1.1', Dialect.SMB_3_1_1],
  ['3.0', Dialect.SMB_3_0],
] as const)('a second channel with %s', (_name, dialect) => {
  it('is the same session, with a key of its own', async () => {
    await kit.serve(share, { interfaces });
    const one = await kit.user({ dialect, share: 'share' });
    const { client: two, status } = await bind(one, { dialect });
    expect(status).toBe(Status.SUCCESS);
    expect(two.isSigned((await two.ask(Command.ECHO, empty))!)).toBe(true);
    const fileId = await openPath(one, 'film.mkv');
    const again = await openPath(two, 'film.mkv');
    expect(again).not.toEqual(fileId);
    // The key of the other channel is not accepted. (Below 3.1.1 both exchanges of this test produce the same key.)
    if (dialect !== Dialect.SMB_3_1_1) return;
    const wrong = one.protect(two.message(Command.ECHO, empty), { sign: true });
    two.sendMessage(wrong);
    expect(await two.next()).toMatchObject({ status: Status.ACCESS_DENIED });
  });

  it('keeps the session when the first is lost', async () => {
    const server = await kit.serve(share, { interfaces });
    const one = await kit.user({ dialect, share: 'share' });
    const { client: two } = await bind(one, { dialect });
    await openPath(one, 'film.mkv');
    one.close();
    await expect.poll(() => server.statistics.connections).toBe(1);
    expect(server.statistics).toMatchObject({ sessions: 1, opens: 1 });
    expect(await openPath(two, 'film.mkv')).toBeDefined();
    two.close();
    await expect.poll(() => server.statistics).toEqual({ connections: 0, sessions: 0, opens: 0, leases: 0 });
  });

  it('ends with the session', async () => {
    await kit.serve(share, { interfaces });
    const one = await kit.user({ dialect, share: 'share' });
    const { client: two } = await bind(one, { dialect });
    expect(await two.ask(Command.LOGOFF, empty)).toMatchObject({ status: Status.SUCCESS });
    expect(await one.ask(Command.CREATE, one.createBody('film.mkv'))).toMatchObject({
      status: Status.USER_SESSION_DELETED,
    });
  });
});

describe('a break', () => {
  it('is told again on another channel when the one it was told on is lost', async () => {
    await kit.serve(share, { interfaces });
    const one = await kit.user({ share: 'share' });
    const { client: two } = await bind(one);
    const state = LeaseState.READ | LeaseState.WRITE | LeaseState.HANDLE;
    const lease = leaseV1.toBuffer({ key: Buffer.alloc(16, 3), state, flags: 0, duration: 0n });
    await openPath(one, 'film.mkv', [{ name: 'RqLs', data: lease }]);
    const other = await kit.user({ share: 'share', clientGuid: Buffer.alloc(16, 8) });
    other.sendMessage(other.protect(other.message(Command.CREATE, other.createBody('film.mkv'))));
    expect(await one.next()).toMatchObject({ command: Command.OPLOCK_BREAK });
    one.close();
    expect(await two.next()).toMatchObject({ command: Command.OPLOCK_BREAK });
  });
});

describe('no channel is opened', () => {
  it.each([
    ['unsigned', { sign: false }, Status.INVALID_PARAMETER],
    ['by another user', Other, Status.ACCESS_DENIED],
    ['with a wrong password', { password: 'wrong' }, Status.LOGON_FAILURE],
    ['of another dialect', { dialect: Dialect.SMB_3_0_2 }, Status.INVALID_PARAMETER],
    ['of another cipher', { cipher: 'aes-256-gcm' }, Status.INVALID_PARAMETER],
    ['that signs otherwise', { signing: 'aes-gmac' }, Status.NOT_SUPPORTED],
  ] as const)('%s', async (_name, options, status) => {
    await kit.serve(share, { interfaces });
    const one = await kit.user({ share: 'share' });
    expect((await bind(one, options)).status).toBe(status);
    expect(await openPath(one, 'film.mkv')).toBeDefined();
  });

  it('from an address that a connected share does not allow, nor is such a share connected to afterwards', async () => {
    const shares = [
      { name: 'near', backend: share, guest: false, allow: (address: string) => address === '127.0.0.1' },
      { name: 'far', backend: share, guest: false },
    ];
    await kit.serve(share, { interfaces, shares });
    const one = await kit.user({ share: 'near' });
    expect((await bind(one, { from: '127.0.0.2' })).status).toBe(Status.ACCESS_DENIED);
    const other = await kit.user({ share: 'far' });
    expect((await bind(other, { from: '127.0.0.2' })).status).toBe(Status.SUCCESS);
    expect(await other.connectTree('near')).toMatchObject({ status: Status.ACCESS_DENIED });
  });

  it('of a guest', async () => {
    await kit.serve(share, { interfaces });
    const one = await kit.negotiated();
    await one.logOn();
    expect((await bind(one, { sign: false })).status).toBe(Status.NOT_SUPPORTED);
  });

  it('where no interfaces are told of, and none is named there', async () => {
    await kit.serve(share);
    const one = await kit.user({ share: 'share' });
    expect((await bind(one)).status).toBe(Status.REQUEST_NOT_ACCEPTED);
    expect(await one.ask(Command.IOCTL, interfaceQuery)).toMatchObject({ status: Status.NOT_SUPPORTED });
  });
});

const interfaceQuery = ioctlRequest.toBuffer(
  {
    controlCode: 0x001401fc,
    fileId: { persistent: RELATED_ID, volatile: RELATED_ID },
    inputOffset: 0,
    inputCount: 0,
    maxInputResponse: 0,
    outputOffset: 0,
    outputCount: 0,
    maxOutputResponse: 4096,
    flags: 1,
  },
  Buffer.alloc(1),
);

it('interfaces are named by their addresses', async () => {
  await kit.serve(share, { interfaces });
  const one = await kit.user({ share: 'share' });
  const { packet } = (await one.ask(Command.IOCTL, interfaceQuery))!;
  const { outputOffset, outputCount } = ioctlResponse.decode(packet, HEADER_SIZE);
  const output = packet.subarray(outputOffset, outputOffset + outputCount);
  expect([outputCount, output.readUInt32LE(0), output.readUInt32LE(152)]).toEqual([304, 152, 0]);
  expect([output.readUInt32LE(8), Number(output.readBigUInt64LE(16))]).toEqual([1, 1e10]);
  expect([...output.subarray(24, 32)]).toEqual([2, 0, 0, 0, 10, 1, 2, 3]);
  expect(output.readUInt16LE(152 + 24)).toBe(0x17);
  expect(output.subarray(152 + 32, 152 + 48).toString('hex')).toBe(`fd00${'0'.repeat(27)}5`);
});
