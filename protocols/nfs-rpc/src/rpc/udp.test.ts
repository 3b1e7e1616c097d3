/** UDP: the sender can be forged, so only short replies are sent, and only for a few procedures. */
import { createSocket, Socket } from 'node:dgram';
import { afterEach, expect, it, vi } from 'vitest';

import { FileType, type MountBackend } from '../backend.ts';
import { MOUNT_PROGRAM, mountProgram } from '../mount/program.ts';
import { directoryPath, mountResult } from '../mount/wire.ts';
import { nfs3Program } from '../nfs3/program.ts';
import { readShape } from '../nfs3/read.ts';
import { PortmapTable, portmapProgram } from '../portmap/program.ts';
import { mapping, PORTMAP_PROGRAM, PORTMAP_VERSION } from '../portmap/wire.ts';
import { callRecord, procedureNumber } from '../testing/harness.ts';
import { MemoryBackend } from '../testing/memory-backend.ts';
import { XdrReader } from '../xdr/reader.ts';
import { AcceptStatus, replyMessage } from './message.ts';
import { RpcServer } from './server.ts';

const stops: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

const memory = new MemoryBackend();
const file = memory.add(memory.root, 'f', FileType.regular, Buffer.alloc(8192, 'data'));

async function serve(allows?: (address: string) => boolean, mounts: MountBackend = memory) {
  const table = new PortmapTable();
  const server = new RpcServer()
    .add(nfs3Program(memory))
    .add(mountProgram(mounts))
    .add(portmapProgram(table));
  stops.push(() => server.close({ timeoutMs: 50 }));
  const { port } = await server.listenUdp({
    host: '127.0.0.1',
    port: 0,
    programs: [100003, MOUNT_PROGRAM, PORTMAP_PROGRAM],
    ...(allows && { allows }),
  });
  const socket = createSocket('udp4');
  stops.push(() => void socket.close());
  /** Sends the datagrams and returns the first reply. */
  const ask = (...messages: Buffer[]) =>
    new Promise<XdrReader>((resolve) => {
      socket.once('message', (message) => resolve(new XdrReader(message)));
      for (const message of messages) socket.send(message, port, '127.0.0.1');
    });
  return { ask };
}

const statusOf = (reader: XdrReader): unknown => {
  const { body } = replyMessage.decode(reader) as unknown as { body: { accepted: { acceptStatus: number } } };
  return body.accepted.acceptStatus;
};

it('answer no procedure of NFS, not even when its program is asked for', async () => {
  const { ask } = await serve();
  const value = { file: memory.handle(file), offset: 0, count: 8000 };
  const read = callRecord({ procedure: procedureNumber('READ') }, readShape.args, value);
  expect(statusOf(await ask(read))).toBe(AcceptStatus.PROG_UNAVAIL);
  expect(statusOf(await ask(callRecord({ procedure: 0 })))).toBe(AcceptStatus.PROG_UNAVAIL);
});

it('mount, but list neither exports nor mounts', async () => {
  const { ask } = await serve();
  const header = { program: MOUNT_PROGRAM, version: 3 };
  const mounted = await ask(callRecord({ ...header, procedure: 1 }, directoryPath, '/export'));
  expect(statusOf(mounted)).toBe(AcceptStatus.SUCCESS);
  expect(mountResult.decode(mounted)).toMatchObject({ status: 0, handle: memory.handle(memory.root) });
  expect(statusOf(await ask(callRecord({ ...header, procedure: 0 })))).toBe(AcceptStatus.SUCCESS);
  for (const procedure of [2, 5])
    expect(statusOf(await ask(callRecord({ ...header, procedure })))).toBe(AcceptStatus.PROC_UNAVAIL);
});

it('tell ports, but change none', async () => {
  const { ask } = await serve();
  const header = { program: PORTMAP_PROGRAM, version: PORTMAP_VERSION };
  const row = { program: 1, version: 1, protocol: 17, port: 1 };
  const set = callRecord({ ...header, procedure: 1 }, mapping, row);
  expect(statusOf(await ask(set))).toBe(AcceptStatus.PROC_UNAVAIL);
  const asked = await ask(callRecord({ ...header, procedure: 3 }, mapping, row));
  expect([statusOf(asked), asked.uint32()]).toEqual([AcceptStatus.SUCCESS, 0]);
});

it('of addresses that are not allowed are dropped', async () => {
  const asked: string[] = [];
  const { ask } = await serve((address) => asked.push(address) > 1);
  const call = (xid: number) =>
    callRecord({ program: PORTMAP_PROGRAM, version: PORTMAP_VERSION, procedure: 0, xid });
  expect(replyMessage.decode(await ask(call(1), call(2))).xid).toBe(2);
  expect(asked).toEqual(['127.0.0.1', '127.0.0.1']);
});

it('survive a caller that cannot be answered', async () => {
  const { ask } = await serve();
  const header = { program: MOUNT_PROGRAM, version: 3, procedure: 0 };
  // From now on the caller's socket is bound, and sends at once.
  await ask(callRecord(header));
  void ask(callRecord(header));
  const spy = vi.spyOn(Socket.prototype, 'send');
  stops.push(() => {
    spy.mockRestore();
  });
  // As the system refuses to send to port 0, which a forged datagram may come from.
  await new Promise<void>((resolve) => {
    spy.mockImplementationOnce(() => {
      resolve();
      throw new RangeError('port out of range');
    });
  });
  expect(statusOf(await ask(callRecord(header)))).toBe(AcceptStatus.SUCCESS);
});

it('ask the backend once for a call that is sent again while it waits', async () => {
  let asked = 0;
  let go!: (handle: Buffer) => void;
  const mount = () => {
    asked += 1;
    return new Promise<Buffer>((resolve) => (go = resolve));
  };
  const { ask } = await serve(undefined, Object.assign(new MemoryBackend(), { mount }));
  const header = { program: MOUNT_PROGRAM, version: 3 };
  const waits = callRecord({ ...header, xid: 7, procedure: 1 }, directoryPath, '/export');
  const quick = callRecord({ ...header, xid: 8, procedure: 0 });
  expect(replyMessage.decode(await ask(waits, waits, waits, quick)).xid).toBe(8);
  expect(asked).toBe(1);
  const mounted = ask();
  go(memory.handle(memory.root));
  expect(replyMessage.decode(await mounted).xid).toBe(7);
});
