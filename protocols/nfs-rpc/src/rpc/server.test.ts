import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';

import { FileType, NfsError } from '../backend.ts';
import type { RpcHooks } from '../hooks.ts';
import type { RpcLimits } from '../limits.ts';
import { getattrShape } from '../nfs3/getattr.ts';
import { nfs3Program } from '../nfs3/program.ts';
import { readShape } from '../nfs3/read.ts';
import { results } from '../nfs3/wire.ts';
import { NfsStatus } from '../status.ts';
import { callRecord, Nfs3Client, procedureNumber, RawConnection, startServer } from '../testing/harness.ts';
import { MemoryBackend, type MemoryNode } from '../testing/memory-backend.ts';
import { decodeOne } from '../xdr/codec.ts';
import { XdrReader } from '../xdr/reader.ts';
import type { CallContext } from './context.ts';
import { type CallMessage, type ReplyBody, replyMessage } from './message.ts';
import { markRecord } from './record.ts';
import { RpcServer } from './server.ts';

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

async function start(
  options: { hooks?: RpcHooks; limits?: Partial<RpcLimits> } = {},
  backend = new MemoryBackend(),
) {
  const started = await startServer(options, backend);
  stops.push(() => started.server.close({ timeoutMs: 50 }));
  return started;
}

const READ = procedureNumber('READ');
const GETATTR = procedureNumber('GETATTR');
const NONE = { flavor: 0, body: Buffer.alloc(0) };

/** A backend whose reads wait until the test releases them, in any order. */
class WaitingBackend extends MemoryBackend {
  readonly waiting: { readonly offset: number; readonly go: () => void; readonly call: CallContext }[] = [];
  jukebox = false;
  readonly file = this.add(this.root, 'f', FileType.regular, Buffer.alloc(1 << 20, 'data'));

  override async read(
    ...args: Parameters<MemoryBackend['read']> | [...Parameters<MemoryBackend['read']>, CallContext]
  ) {
    const [node, offset, target, call] = args as [...Parameters<MemoryBackend['read']>, CallContext];
    if (this.jukebox) {
      call.onRetransmission = () => {
        throw new NfsError(NfsStatus.JUKEBOX);
      };
    }
    await new Promise<void>((go) => this.waiting.push({ offset, go, call }));
    return super.read(node, offset, target);
  }

  readCall(xid: number, offset: number, count: number, file = this.file): Buffer {
    const value = { file: this.handle(file), offset, count };
    return markRecord(callRecord({ xid, procedure: READ }, readShape.args, value));
  }

  /** Adds another file. */
  another(name: string, size = 1 << 20): MemoryNode {
    return this.add(this.root, name, FileType.regular, Buffer.alloc(size, 'data'));
  }

  getattrCall(xid: number): Buffer {
    const value = { object: this.handle(this.root) };
    return markRecord(callRecord({ xid, procedure: GETATTR }, getattrShape.args, value));
  }
}

const xidOf = (record: Buffer | undefined): number | undefined => record?.readUInt32BE(0);

describe('rejections (RFC 5531 §9)', () => {
  const accepted = (body: object): object => ({ replyStatus: 0, verifier: NONE, accepted: body });
  const rejected = (body: object): object => ({ replyStatus: 1, rejected: body });
  const badBody = { flavor: 1, body: Buffer.alloc(8, 0xff) };
  it.each<[string, Partial<CallMessage>, object]>([
    ['another RPC version', { rpcVersion: 3 }, rejected({ rejectStatus: 0, low: 2, high: 2 })],
    ['another program', { program: 100227 }, accepted({ acceptStatus: 1 })],
    ['NLM', { program: 100021, version: 4 }, accepted({ acceptStatus: 1 })],
    ['version 4 of NFS', { version: 4 }, accepted({ acceptStatus: 2, low: 3, high: 3 })],
    ['version 2 of NFS', { version: 2 }, accepted({ acceptStatus: 2, low: 3, high: 3 })],
    ['another procedure', { procedure: 22 }, accepted({ acceptStatus: 3 })],
    ['arguments that are missing', { procedure: 1 }, accepted({ acceptStatus: 4 })],
    [
      'a credential that is none',
      { procedure: 1, credential: badBody },
      rejected({ rejectStatus: 1, authStatus: 1 }),
    ],
    [
      'GSS',
      { procedure: 1, credential: { ...NONE, flavor: 6 } },
      rejected({ rejectStatus: 1, authStatus: 2 }),
    ],
    ['NULL with GSS', { credential: { ...NONE, flavor: 6 } }, accepted({ acceptStatus: 0 })],
    ['NULL with AUTH_NONE', { credential: NONE }, accepted({ acceptStatus: 0 })],
    [
      'NULL of NFSACL with an odd flavor',
      { program: 100227, credential: { ...NONE, flavor: 77 } },
      accepted({ acceptStatus: 1 }),
    ],
  ])('%s', async (_name, header, body) => {
    const { address } = await start();
    const connection = await RawConnection.open(address);
    connection.socket.write(markRecord(callRecord({ xid: 99, ...header })));
    const expected: { xid: number; type: number; body: object } = { xid: 99, type: 1, body };
    expect(decodeOne(replyMessage, (await connection.reply())!)).toEqual(expected as unknown as ReplyBody);
  });

  it('SYSTEM_ERR for a procedure that throws', async () => {
    const bug = vi.fn();
    const server = new RpcServer({ hooks: { bug } });
    stops.push(() => server.close());
    const odd = { name: 'ODD', run: () => Promise.reject(new Error('odd')) };
    server.add({ number: 9, name: 'ODD', versions: new Map([[1, [odd]]]) });
    const connection = await RawConnection.open(await server.listenTcp({ host: '127.0.0.1', port: 0 }));
    connection.socket.write(markRecord(callRecord({ program: 9, version: 1 })));
    const { body } = decodeOne(replyMessage, (await connection.reply())!);
    expect(body).toMatchObject({ accepted: { acceptStatus: 5 } });
    expect(bug).toHaveBeenCalledOnce();
  });
});

describe('one connection', () => {
  it('answers calls as they become ready, and tells the hooks', async () => {
    const backend = new WaitingBackend();
    const finished: string[] = [];
    const hooks: RpcHooks = {
      callFinished: ({ program, procedure, status, bytesOut }) =>
        finished.push(`${program} ${procedure} ${status} ${bytesOut > 28}`),
    };
    const { address } = await start({ hooks }, backend);
    const connection = await RawConnection.open(address);
    connection.socket.write(
      Buffer.concat([backend.readCall(1, 0, 10), backend.readCall(2, 10, 10), backend.getattrCall(3)]),
    );
    expect(xidOf(await connection.reply())).toBe(3);
    backend.waiting[1]!.go();
    expect(xidOf(await connection.reply())).toBe(2);
    backend.waiting[0]!.go();
    expect(xidOf(await connection.reply())).toBe(1);
    expect(finished).toEqual(['NFS GETATTR OK true', 'NFS READ OK true', 'NFS READ OK true']);
  });

  it('answers forty reads that wait behind nothing else', async () => {
    const backend = new WaitingBackend();
    const { address } = await start({}, backend);
    const connection = await RawConnection.open(address);
    const files = Array.from({ length: 10 }, (_, index) => backend.another(`f${index}`));
    for (let xid = 1; xid <= 40; xid++)
      connection.socket.write(backend.readCall(xid, 0, 1 << 20, files[xid % 10]));
    connection.socket.write(backend.getattrCall(50));
    expect(xidOf(await connection.reply())).toBe(50);
    expect(backend.waiting).toHaveLength(40);
    for (const { go } of backend.waiting) go();
  });

  it('drops a retransmission of a call that is being worked on', async () => {
    const backend = new WaitingBackend();
    const retransmission = vi.fn();
    const { address } = await start({ hooks: { retransmission } }, backend);
    const connection = await RawConnection.open(address);
    connection.socket.write(
      Buffer.concat([backend.readCall(1, 0, 4), backend.readCall(1, 0, 4), backend.getattrCall(1)]),
    );
    expect((await connection.reply())!.length).toBeGreaterThan(80);
    expect(backend.waiting).toHaveLength(1);
    expect(retransmission).toHaveBeenCalledWith(expect.anything(), 'NFS', 'READ', false);
    backend.waiting[0]!.go();
    expect(xidOf(await connection.reply())).toBe(1);
    connection.socket.write(backend.readCall(1, 0, 4));
    await vi.waitFor(() => expect(backend.waiting).toHaveLength(2));
    backend.waiting[1]!.go();
    expect(xidOf(await connection.reply())).toBe(1);
  });

  it('answers a retransmission at once when the backend says how, and drops the late result', async () => {
    const backend = new WaitingBackend();
    backend.jukebox = true;
    const retransmission = vi.fn();
    const { address } = await start({ hooks: { retransmission } }, backend);
    const connection = await RawConnection.open(address);
    connection.socket.write(Buffer.concat([backend.readCall(7, 0, 4), backend.readCall(7, 0, 4)]));
    const reader = new XdrReader((await connection.reply())!);
    expect(replyMessage.decode(reader).xid).toBe(7);
    const answer = results(readShape.ok, readShape.failed).decode(reader);
    expect(answer).toEqual({ status: NfsStatus.JUKEBOX, attributes: backend.getAttributes(backend.file) });
    expect(retransmission).toHaveBeenCalledWith(expect.anything(), 'NFS', 'READ', true);
    backend.waiting[0]!.go();
    connection.socket.write(backend.getattrCall(8));
    expect(xidOf(await connection.reply())).toBe(8);
  });

  it('aborts the signal of calls nobody waits for, and tells how many they were', async () => {
    const backend = new WaitingBackend();
    const unanswered = vi.fn();
    const { address } = await start({ hooks: { unanswered } }, backend);
    const connection = await RawConnection.open(address);
    connection.socket.write(backend.readCall(1, 0, 4));
    await vi.waitFor(() => expect(backend.waiting).toHaveLength(1));
    const { signal } = backend.waiting[0]!.call;
    expect(signal.aborted).toBe(false);
    connection.socket.resetAndDestroy();
    await vi.waitFor(() => expect(signal.aborted).toBe(true));
    expect(unanswered.mock.calls).toEqual([[expect.objectContaining({ address: '127.0.0.1' }), 1]]);
  });

  it('still answers a peer that has sent its FIN', async () => {
    const backend = new WaitingBackend();
    const connectionClosed = vi.fn();
    const { address } = await start({ hooks: { connectionClosed } }, backend);
    const connection = await RawConnection.open(address);
    connection.socket.allowHalfOpen = true;
    connection.socket.end(backend.readCall(1, 0, 4));
    await vi.waitFor(() => expect(backend.waiting).toHaveLength(1));
    backend.waiting[0]!.go();
    expect(xidOf(await connection.reply())).toBe(1);
    await connection.closed;
    await vi.waitFor(() => expect(connectionClosed).toHaveBeenCalledWith(expect.anything(), 'ended'));
  });
});

describe('bad input', () => {
  it.each([
    ['a record above the bound', Buffer.from('ffffffff', 'hex')],
    ['a record that is no call', markRecord(Buffer.alloc(40, 1))],
    ['a record too short for a header', markRecord(Buffer.alloc(12))],
  ])('%s ends the connection and no other', async (_name, bytes) => {
    const malformed = vi.fn();
    const backend = new WaitingBackend();
    const { address } = await start({ hooks: { malformed } }, backend);
    const [bad, good] = [await RawConnection.open(address), await RawConnection.open(address)];
    bad.socket.write(bytes);
    expect(await bad.reply()).toBeUndefined();
    expect(malformed).toHaveBeenCalledOnce();
    good.socket.write(backend.getattrCall(1));
    expect(xidOf(await good.reply())).toBe(1);
  });

  it('ends a connection whose record does not get finished, not one that is idle', async () => {
    const connectionClosed = vi.fn();
    const { address } = await start({ hooks: { connectionClosed }, limits: { recordTimeoutMs: 60 } });
    const [idle, partial] = [await RawConnection.open(address), await RawConnection.open(address)];
    partial.socket.write(Buffer.from('80000100000000', 'hex'));
    await partial.closed;
    await vi.waitFor(() =>
      expect(connectionClosed.mock.calls.map((call) => call[1] as string)).toEqual(['record timeout']),
    );
    expect(idle.socket.destroyed).toBe(false);
  });

  it('gives each record its own time, also when it begins with the end of another', async () => {
    const connectionClosed = vi.fn();
    const limit = 400;
    const backend = new WaitingBackend();
    const { address } = await start(
      { hooks: { connectionClosed }, limits: { recordTimeoutMs: limit } },
      backend,
    );
    const connection = await RawConnection.open(address);
    const record = (xid: number) => backend.getattrCall(xid);
    connection.socket.write(record(1).subarray(0, 20));
    const begun = performance.now();
    for (let xid = 1; performance.now() - begun < 2 * limit; xid++) {
      connection.socket.write(Buffer.concat([record(xid).subarray(20), record(xid + 1).subarray(0, 20)]));
      expect(xidOf(await connection.reply())).toBe(xid);
    }
    expect(connectionClosed).not.toHaveBeenCalled();
  });

  it('bounds connections for each address and in total', async () => {
    const connectionRefused = vi.fn();
    const { address, server } = await start({
      hooks: { connectionRefused },
      limits: { maxConnectionsPerAddress: 2 },
    });
    const [first] = [await RawConnection.open(address), await RawConnection.open(address)];
    const third = await RawConnection.open(address);
    await third.closed;
    expect(connectionRefused).toHaveBeenCalledWith(
      expect.objectContaining({ address: '127.0.0.1' }),
      'address',
    );
    first.socket.destroy();
    await vi.waitFor(() => expect(server.connections).toBe(1));
    const fourth = await RawConnection.open(address);
    fourth.socket.write(markRecord(callRecord({ xid: 4 })));
    expect(xidOf(await fourth.reply())).toBe(4);
  });
});

describe('connections without a call', () => {
  it('give way to new ones when there is no room left, the oldest first', async () => {
    const connectionClosed = vi.fn();
    const connectionRefused = vi.fn();
    const hooks = { connectionClosed, connectionRefused };
    const { address, server } = await start({ hooks, limits: { maxConnections: 3 } });
    const speaking = await RawConnection.open(address);
    speaking.socket.write(markRecord(callRecord({ xid: 1 })));
    expect(xidOf(await speaking.reply())).toBe(1);
    const silent = [await RawConnection.open(address), await RawConnection.open(address)];
    await vi.waitFor(() => expect(server.connections).toBe(3));
    const late = await RawConnection.open(address);
    late.socket.write(markRecord(callRecord({ xid: 2 })));
    expect(xidOf(await late.reply())).toBe(2);
    await silent[0]!.closed;
    expect(connectionClosed).toHaveBeenCalledWith(expect.anything(), 'no call');
    expect(connectionRefused).not.toHaveBeenCalled();
    for (const [xid, one] of [speaking, silent[1]!].entries()) {
      one.socket.write(markRecord(callRecord({ xid: 10 + xid })));
      expect(xidOf(await one.reply())).toBe(10 + xid);
    }
    // Now all three have something to say.
    await (
      await RawConnection.open(address)
    ).closed;
    expect(connectionRefused).toHaveBeenCalledWith(expect.anything(), 'total');
  });
});

describe('an address with as many connections as it may have', () => {
  it('does not cost the silent connections their place', async () => {
    const connectionClosed = vi.fn();
    const connectionRefused = vi.fn();
    const hooks = { connectionClosed, connectionRefused };
    const { address, server } = await start({
      hooks,
      limits: { maxConnections: 2, maxConnectionsPerAddress: 2 },
    });
    const silent = [await RawConnection.open(address), await RawConnection.open(address)];
    await vi.waitFor(() => expect(server.connections).toBe(2));
    await (
      await RawConnection.open(address)
    ).closed;
    expect(connectionRefused).toHaveBeenCalledWith(expect.anything(), 'address');
    for (const [xid, one] of silent.entries()) {
      one.socket.write(markRecord(callRecord({ xid })));
      expect(xidOf(await one.reply())).toBe(xid);
    }
    expect(connectionClosed).not.toHaveBeenCalledWith(expect.anything(), 'no call');
  });
});

describe('back-pressure', () => {
  it('stops reading at the bound on calls, and goes on when they are done', async () => {
    const backend = new WaitingBackend();
    const { address } = await start({ limits: { maxCalls: 8 } }, backend);
    const connection = await RawConnection.open(address);
    const files = [0, 1, 2].map((index) => backend.another(`f${index}`));
    for (let xid = 1; xid <= 30; xid++) connection.socket.write(backend.readCall(xid, 0, 16, files[xid % 3]));
    await vi.waitFor(() => expect(backend.waiting).toHaveLength(8));
    await sleep(50);
    expect(backend.waiting).toHaveLength(8);
    const seen = new Set<number | undefined>();
    for (let done = 0; done < 30; done++) {
      await vi.waitFor(() => expect(backend.waiting.length).toBeGreaterThan(done));
      backend.waiting[done]!.go();
      seen.add(xidOf(await connection.reply()));
    }
    expect(seen.size).toBe(30);
  });

  it('lets small calls pass while large replies wait for memory', async () => {
    const backend = new WaitingBackend();
    const { address } = await start({ limits: { maxReplyBytes: 2 << 20 } }, backend);
    const connection = await RawConnection.open(address);
    for (let xid = 1; xid <= 10; xid++) connection.socket.write(backend.readCall(xid, 0, 1 << 20));
    connection.socket.write(backend.getattrCall(77));
    expect(xidOf(await connection.reply())).toBe(77);
    expect(backend.waiting).toHaveLength(2);
    for (let done = 0; done < 10; done++) {
      await vi.waitFor(() => expect(backend.waiting.length).toBeGreaterThan(done));
      backend.waiting[done]!.go();
      expect((await connection.reply())!.length).toBeGreaterThan(1 << 20);
    }
  });

  it('shares a bound on all connections without starving one', async () => {
    const backend = new WaitingBackend();
    const { address } = await start({ limits: { maxTotalReplyBytes: 1 << 20 } }, backend);
    const [one, two] = [await RawConnection.open(address), await RawConnection.open(address)];
    for (let xid = 1; xid <= 3; xid++) {
      one.socket.write(backend.readCall(xid, 0, 1 << 20));
      two.socket.write(backend.readCall(xid, 0, 1 << 20));
    }
    await vi.waitFor(() => expect(backend.waiting).toHaveLength(2));
    for (let done = 0; done < 6; done++) {
      await vi.waitFor(() => expect(backend.waiting.length).toBeGreaterThan(done));
      backend.waiting[done]!.go();
    }
    for (let xid = 1; xid <= 3; xid++) {
      expect(await one.reply()).toBeDefined();
      expect(await two.reply()).toBeDefined();
    }
  });

  it('gives back what a lost connection held', async () => {
    const backend = new WaitingBackend();
    const limits = { maxTotalReplyBytes: 1 << 20, maxTotalRequestBytes: 200 };
    const { address, server } = await start({ limits }, backend);
    const lost = await RawConnection.open(address);
    for (let xid = 1; xid <= 4; xid++) lost.socket.write(backend.readCall(xid, 0, 1 << 20));
    await vi.waitFor(() => expect(backend.waiting).toHaveLength(1));
    lost.socket.resetAndDestroy();
    await vi.waitFor(() => expect(server.connections).toBe(0));
    for (const { go } of backend.waiting.splice(0)) go();
    const next = await RawConnection.open(address);
    for (let xid = 1; xid <= 2; xid++) next.socket.write(backend.readCall(xid, 0, 1 << 19));
    await vi.waitFor(() => expect(backend.waiting).toHaveLength(2));
    for (const { go } of backend.waiting) go();
    expect([xidOf(await next.reply()), xidOf(await next.reply())].sort()).toEqual([1, 2]);
  });

  it('drops a peer that never reads after a bounded time and with bounded memory, and nobody else', async () => {
    const backend = new MemoryBackend();
    const file = backend.add(backend.root, 'f', FileType.regular, Buffer.alloc(1 << 20));
    const connectionClosed = vi.fn();
    const limits = { stalledWriteMs: 200, maxUnsentBytes: 2 << 20, maxReplyBytes: 4 << 20 };
    const { address } = await start({ hooks: { connectionClosed }, limits }, backend);
    const [deaf, good] = [await RawConnection.open(address), await Nfs3Client.open(address)];
    deaf.socket.pause();
    const value = { file: backend.handle(file), offset: 0, count: 1 << 20 };
    const before = process.memoryUsage().arrayBuffers;
    for (let xid = 1; xid <= 200; xid++) {
      deaf.socket.write(markRecord(callRecord({ xid, procedure: READ }, readShape.args, value)));
    }
    await sleep(100);
    expect((await good.ok(readShape, value)).count).toBe(1 << 20);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(40 << 20);
    await vi.waitFor(
      () => expect(connectionClosed).toHaveBeenCalledWith(expect.anything(), 'peer does not read'),
      3000,
    );
    expect((await good.ok(readShape, value)).count).toBe(1 << 20);
    good.close();
  });
});

describe('stopping', () => {
  it('finishes what was asked, flushes, sends FIN, and takes no more', async () => {
    const backend = new WaitingBackend();
    const { address, server } = await start({}, backend);
    const connection = await RawConnection.open(address);
    connection.socket.write(Buffer.concat([backend.readCall(1, 0, 1 << 20), backend.readCall(2, 0, 4)]));
    await vi.waitFor(() => expect(backend.waiting).toHaveLength(2));
    const closed = server.close({ timeoutMs: 3000 });
    connection.socket.write(backend.getattrCall(3));
    await expect(RawConnection.open(address)).rejects.toThrow('ECONNREFUSED');
    for (const { go } of backend.waiting) go();
    expect([xidOf(await connection.reply()), xidOf(await connection.reply())].sort()).toEqual([1, 2]);
    expect(await connection.reply()).toBeUndefined();
    await closed;
    expect(server.connections).toBe(0);
  });

  it('cuts off what does not end in time', async () => {
    const backend = new WaitingBackend();
    const { address, server } = await start({}, backend);
    const connection = await RawConnection.open(address);
    connection.socket.write(backend.readCall(1, 0, 4));
    await vi.waitFor(() => expect(backend.waiting).toHaveLength(1));
    await server.close({ timeoutMs: 30 });
    expect(await connection.reply()).toBeUndefined();
  });

  it('takes over a server that listens already', async () => {
    const listener = createServer();
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
    const backend = new WaitingBackend();
    const server = new RpcServer().add(nfs3Program(backend));
    stops.push(() => server.close());
    const connection = await RawConnection.open(server.attach(listener));
    connection.socket.write(backend.getattrCall(5));
    expect(xidOf(await connection.reply())).toBe(5);
    connection.socket.destroy();
  });
});
