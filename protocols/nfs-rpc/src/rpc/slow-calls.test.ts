/** A call that hangs delays no other calls, on its own connection or on others. */
import { afterEach, describe, expect, it, vi } from 'vitest';

import { FileType, NfsError } from '../backend.ts';
import { LONGEST_TURN_WAIT, type RpcLimits } from '../limits.ts';
import { lookupShape } from '../nfs3/lookup.ts';
import { readShape } from '../nfs3/read.ts';
import { NfsStatus } from '../status.ts';
import { callRecord, procedureNumber, RawConnection, startServer } from '../testing/harness.ts';
import { MemoryBackend, type MemoryNode } from '../testing/memory-backend.ts';
import type { CallContext } from './context.ts';
import { markRecord } from './record.ts';

const MiB = 1 << 20;
const READ = procedureNumber('READ');
const LOOKUP = procedureNumber('LOOKUP');

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  vi.useRealTimers();
  for (const stop of stops.splice(0)) await stop();
});

/** Reads of files named `hung…`, and lookups of such names, hang until the test releases them. */
class HangingBackend extends MemoryBackend {
  readonly hanging: { readonly go: () => void; readonly target: Buffer | undefined }[] = [];
  readonly names = new Map<MemoryNode, string>();
  readonly healthy = this.file('healthy');
  /** Whether hanging lookups may be answered early, as in the gateway. */
  patient = false;

  file(name: string): MemoryNode {
    const node = this.add(this.root, name, FileType.regular, Buffer.alloc(MiB, 'data'));
    this.names.set(node, name);
    return node;
  }

  override async read(node: MemoryNode, offset: number, target: Buffer) {
    if (this.names.get(node)!.startsWith('hung'))
      await new Promise<void>((go) => this.hanging.push({ go, target }));
    return super.read(node, offset, target);
  }

  override lookup(directory: MemoryNode, name: string, call?: CallContext) {
    if (!name.startsWith('hung')) return super.lookup(directory, name);
    if (!this.patient)
      call!.onRetransmission = () => {
        throw new NfsError(NfsStatus.JUKEBOX);
      };
    const hangs = new Promise<void>((go) => this.hanging.push({ go, target: undefined }));
    return hangs.then(() => super.lookup(directory, name)) as never;
  }

  readCall(xid: number, file: MemoryNode, count = MiB): Buffer {
    const value = { file: this.handle(file), offset: 0, count };
    return markRecord(callRecord({ xid, procedure: READ }, readShape.args, value));
  }

  lookupCall(xid: number, name: string): Buffer {
    const value = { what: { directory: this.handle(this.root), name } };
    return markRecord(callRecord({ xid, procedure: LOOKUP }, lookupShape.args, value));
  }

  get heldBytes(): number {
    return this.hanging.reduce((sum, { target }) => sum + (target?.length ?? 0), 0);
  }

  letGo(): void {
    for (const { go } of this.hanging.splice(0)) go();
  }
}

async function start(limits: Partial<RpcLimits> = {}) {
  const backend = new HangingBackend();
  const { server, address } = await startServer({ limits }, backend);
  stops.push(() => {
    backend.letGo();
    return server.close({ timeoutMs: 50 });
  });
  return { backend, open: () => RawConnection.open(address) };
}

const xidOf = (record: Buffer | undefined): number | undefined => record?.readUInt32BE(0);
/** Status of an accepted reply's results. */
const statusOf = (record: Buffer | undefined): number | undefined => record?.readUInt32BE(24);

async function nextReply(connection: RawConnection): Promise<Buffer> {
  const reply = await connection.reply();
  if (!reply) throw new Error('the server hung up');
  return reply;
}

describe('READs that hang', () => {
  it('140 of one file leave memory for another file, and hold little', async () => {
    const { backend, open } = await start();
    const hung = backend.file('hung');
    const connection = await open();
    for (let xid = 1; xid <= 140; xid++) connection.socket.write(backend.readCall(xid, hung));
    connection.socket.write(backend.readCall(999, backend.healthy));
    expect(xidOf(await connection.reply())).toBe(999);
    expect(backend.heldBytes).toBe(4 * MiB);
    // As replies arrive, the server hands more calls to the backend.
    const seen = new Set<number | undefined>();
    while (seen.size < 140) {
      await vi.waitFor(() => expect(backend.hanging.length).toBeGreaterThan(0));
      expect(backend.heldBytes).toBeLessThanOrEqual(16 * MiB);
      const { length } = backend.hanging;
      backend.letGo();
      for (let index = 0; index < length; index++) seen.add(xidOf(await nextReply(connection)));
    }
  });

  it('of more files than there is memory for give way after a second, on every connection', async () => {
    const limits = { maxReplyBytes: 8 * MiB, maxTotalReplyBytes: 16 * MiB, slowCallMs: 200 };
    const { backend, open } = await start(limits);
    const [one, two, other] = [await open(), await open(), await open()];
    for (let file = 0; file < 10; file++) {
      one.socket.write(backend.readCall(file + 1, backend.file(`hung-1-${file}`)));
      two.socket.write(backend.readCall(file + 1, backend.file(`hung-2-${file}`)));
    }
    await vi.waitFor(() => expect(backend.hanging.length).toBeGreaterThanOrEqual(16));
    for (const connection of [one, other]) {
      connection.socket.write(backend.readCall(998, backend.healthy));
      connection.socket.write(backend.readCall(999, backend.healthy));
      expect([xidOf(await connection.reply()), xidOf(await connection.reply())].sort()).toEqual([998, 999]);
    }
  });

  it('are bounded all the same', async () => {
    const limits = { maxReplyBytes: 4 * MiB, maxSlowReplyBytes: 6 * MiB, slowCallMs: 40 };
    const { backend, open } = await start(limits);
    const connection = await open();
    for (let file = 0; file < 30; file++)
      connection.socket.write(backend.readCall(file + 1, backend.file(`hung-${file}`)));
    await vi.waitFor(() => expect(backend.heldBytes).toBe(10 * MiB));
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(backend.heldBytes).toBe(10 * MiB);
    // The memory set aside for slow calls is given back.
    for (let done = 0; done < 30; done++) {
      await vi.waitFor(() => expect(backend.hanging.length).toBeGreaterThan(0));
      backend.hanging.shift()!.go();
      expect(await connection.reply()).toBeDefined();
    }
  });

  it('are told to come again after three minutes in the queue', async () => {
    const { backend, open } = await start();
    const hung = backend.file('hung');
    const connection = await open();
    vi.useFakeTimers({ toFake: ['setInterval', 'performance'] });
    for (let xid = 1; xid <= 5; xid++) connection.socket.write(backend.readCall(xid, hung));
    connection.socket.write(backend.lookupCall(77, 'healthy'));
    expect(xidOf(await connection.reply())).toBe(77);
    vi.advanceTimersByTime(LONGEST_TURN_WAIT - 1_000);
    connection.socket.write(backend.lookupCall(78, 'healthy'));
    expect(xidOf(await connection.reply())).toBe(78);
    vi.advanceTimersByTime(LONGEST_TURN_WAIT / 20 + 2_000);
    const told = await connection.reply();
    expect([xidOf(told), statusOf(told)]).toEqual([5, NfsStatus.JUKEBOX]);
  });

  it('and whose client goes away free their turn', async () => {
    const { backend, open } = await start();
    const hung = backend.file('hung');
    const [lost, other] = [await open(), await open()];
    for (let xid = 1; xid <= 8; xid++) lost.socket.write(backend.readCall(xid, hung));
    await vi.waitFor(() => expect(backend.hanging).toHaveLength(4));
    lost.socket.resetAndDestroy();
    other.socket.write(backend.readCall(9, hung));
    other.socket.write(backend.lookupCall(77, 'healthy'));
    expect(xidOf(await other.reply())).toBe(77);
    backend.letGo();
    await vi.waitFor(() => expect(backend.hanging).toHaveLength(1));
    backend.letGo();
    expect(xidOf(await other.reply())).toBe(9);
  });

  it('of a client that does not read hold up no other reader of the file', async () => {
    const { backend, open } = await start({ maxUnsentBytes: 2 * MiB, maxReplyBytes: 4 * MiB });
    const [deaf, other] = [await open(), await open()];
    deaf.socket.pause();
    for (let xid = 1; xid <= 100; xid++) deaf.socket.write(backend.readCall(xid, backend.healthy));
    for (let xid = 1; xid <= 20; xid++) {
      other.socket.write(backend.readCall(xid, backend.healthy));
      expect(xidOf(await other.reply())).toBe(xid);
    }
    deaf.socket.destroy();
  });
});

describe('a connection all of whose calls wait', () => {
  it('gives way: the oldest are told to come again, whatever they ask', async () => {
    const { backend, open } = await start({ maxCalls: 16, slowCallMs: 100 });
    const connection = await open();
    for (let xid = 1; xid <= 16; xid++) connection.socket.write(backend.lookupCall(xid, `hung${xid}`));
    connection.socket.write(backend.lookupCall(99, 'healthy'));
    const replies = new Map<number | undefined, number | undefined>();
    while (!replies.has(99)) {
      const reply = await nextReply(connection);
      replies.set(xidOf(reply), statusOf(reply));
    }
    expect(replies.get(1)).toBe(NfsStatus.JUKEBOX);
    expect(replies.get(99)).toBe(NfsStatus.OK);
    expect(replies.size).toBeLessThanOrEqual(10);
  });

  it('READs in the queue too', async () => {
    const { backend, open } = await start({ maxCalls: 16, slowCallMs: 100 });
    const hung = backend.file('hung');
    const connection = await open();
    for (let xid = 1; xid <= 100; xid++) connection.socket.write(backend.readCall(xid, hung));
    connection.socket.write(backend.readCall(999, backend.healthy));
    let reply;
    do reply = await nextReply(connection);
    while (xidOf(reply) !== 999);
    expect(statusOf(reply)).toBe(NfsStatus.OK);
    expect(backend.hanging).toHaveLength(4);
  });

  it('keeps a bound on calls that wait for nobody', async () => {
    const { backend, open } = await start({ maxCalls: 8, slowCallMs: 20 });
    const connection = await open();
    for (let xid = 1; xid <= 100; xid++) connection.socket.write(backend.lookupCall(xid, `hung${xid}`));
    for (let told = 0; told < 8; told++) expect(statusOf(await connection.reply())).toBe(NfsStatus.JUKEBOX);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(backend.hanging).toHaveLength(16);
  });
});
