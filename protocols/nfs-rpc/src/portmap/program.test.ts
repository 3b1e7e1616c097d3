import { createSocket } from 'node:dgram';
import { afterEach, describe, expect, it } from 'vitest';

import { RpcServer } from '../rpc/server.ts';
import { callRecord } from '../testing/harness.ts';
import { decodeOne, encodeOne } from '../xdr/codec.ts';
import { XdrReader } from '../xdr/reader.ts';
import { replyMessage } from '../rpc/message.ts';
import { listPrograms, lookUpPort, registerPrograms, unregisterPrograms } from './client.ts';
import { PortmapTable, portmapProgram } from './program.ts';
import { mapping, mappingList, PORTMAP_PROGRAM, PORTMAP_VERSION, Protocol } from './wire.ts';
import { type CallLink, RpcCall } from '../rpc/call.ts';
import { SlabPool } from '../rpc/pool.ts';
import type { ReplyWriter } from '../rpc/reply.ts';

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

const nfs = { program: 100003, version: 3, protocol: Protocol.tcp, port: 2049 };
const mount = { program: 100005, version: 3, protocol: Protocol.tcp, port: 20048 };

function serve(table: PortmapTable): RpcServer {
  const server = new RpcServer().add(portmapProgram(table));
  stops.push(() => server.close({ timeoutMs: 100 }));
  return server;
}

describe('portmap v2 (RFC 1833 §3)', () => {
  it('structures', () => {
    const hex = '000186a3000000030000000600000801';
    expect(encodeOne(mapping, nfs).toString('hex')).toBe(hex);
    expect(decodeOne(mappingList, Buffer.from(`00000001${hex}00000000`, 'hex'))).toEqual([nfs]);
  });

  it('registers, tells and forgets over TCP', async () => {
    const { port } = await serve(new PortmapTable()).listenTcp({ host: '127.0.0.1', port: 0 });
    const address = { port };
    expect(await registerPrograms([nfs, mount], address)).toBe(true);
    expect(await listPrograms(address)).toEqual([nfs, mount]);
    expect(await lookUpPort(mount, address)).toBe(20048);
    expect(await lookUpPort({ ...nfs, protocol: Protocol.udp }, address)).toBe(0);
    expect(await registerPrograms([{ ...nfs, port: 12049 }], address)).toBe(true);
    expect(await lookUpPort(nfs, address)).toBe(12049);
    await unregisterPrograms([nfs, mount], address);
    expect(await listPrograms(address)).toEqual([]);
  });

  it('answers over UDP, and says nothing to what is no call', async () => {
    const table = new PortmapTable();
    table.set(nfs);
    const { port } = await serve(table).listenUdp({
      host: '127.0.0.1',
      port: 0,
      programs: [PORTMAP_PROGRAM],
    });
    const socket = createSocket('udp4');
    const answers: Buffer[] = [];
    const answered = new Promise<void>((resolve) => {
      socket.on('message', (message) => {
        answers.push(message);
        resolve();
      });
    });
    const header = { program: PORTMAP_PROGRAM, version: PORTMAP_VERSION, procedure: 3, xid: 17 };
    socket.send(Buffer.alloc(50, 1), port, '127.0.0.1');
    socket.send(callRecord(header, mapping, { ...nfs, port: 0 }), port, '127.0.0.1');
    await answered;
    socket.close();
    const reader = new XdrReader(answers[0]!);
    expect(replyMessage.decode(reader)).toMatchObject({ xid: 17, body: { accepted: { acceptStatus: 0 } } });
    expect(reader.uint32()).toBe(2049);
    expect(answers).toHaveLength(1);
  });

  it('lets nobody but this host change the table, and bounds it', () => {
    const table = new PortmapTable();
    const set = portmapProgram(table).versions.get(2)![1]!;
    const from = (address: string): boolean => {
      const link: CallLink = {
        peer: { transport: 'tcp', address, port: 1 },
        pool: new SlabPool(0),
        reserve: () => undefined,
        cancelReservation: () => undefined,
        bug: () => undefined,
      };
      const call = new RpcCall(link, 1, { flavor: 'none' }, 'PORTMAP', 'SET', 0);
      const reply = set.run(new XdrReader(encodeOne(mapping, nfs)), call) as ReplyWriter;
      return reply.wire().readUInt32BE(28) === 1;
    };
    expect(from('192.0.2.1')).toBe(false);
    expect(from('2001:db8::1')).toBe(false);
    expect(from('::1')).toBe(true);
    expect(table.set(nfs)).toBe(false);
    for (let program = 0; program < 1000; program++) table.set({ ...nfs, program });
    expect(table.rows()).toHaveLength(256);
    expect(table.unset(1, 3)).toBe(true);
    expect(table.unset(1, 3)).toBe(false);
  });
});
