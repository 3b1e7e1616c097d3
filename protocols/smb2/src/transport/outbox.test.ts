import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Outbox } from './outbox.ts';

const ends: (() => void)[] = [];
afterEach(() => {
  for (const end of ends.splice(0)) end();
});

async function pair(): Promise<{ socket: Socket; peer: Socket }> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const peer = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const [socket] = (await once(server, 'connection')) as [Socket];
  ends.push(
    () => server.close(),
    () => peer.destroy(),
    () => socket.destroy(),
  );
  return { socket, peer };
}

describe('outbox', () => {
  it('sends small frames of one turn in one write, and tells their owners in order', async () => {
    const { socket, peer } = await pair();
    const writes = vi.spyOn(socket as unknown as { _writev: () => void }, '_writev');
    const single = vi.spyOn(socket as unknown as { _write: () => void }, '_write');
    const outbox = new Outbox(socket, 1000, () => undefined);
    const told: number[] = [];
    const received: Buffer[] = [];
    peer.on('data', (chunk) => received.push(chunk));
    for (let index = 0; index < 5; index++)
      outbox.send(Buffer.from([index]), { release: () => told.push(index) });
    await expect.poll(() => Buffer.concat(received)).toEqual(Buffer.from([0, 1, 2, 3, 4]));
    await expect.poll(() => told).toEqual([0, 1, 2, 3, 4]);
    expect([writes.mock.calls.length, single.mock.calls.length]).toEqual([1, 0]);
    outbox.close();
  });

  it('tells the owner of what cannot be sent any more', async () => {
    const { socket } = await pair();
    const outbox = new Outbox(socket, 1000, () => undefined);
    socket.destroy();
    const release = vi.fn();
    outbox.send(Buffer.from([1]), { release });
    expect(release).toHaveBeenCalledOnce();
  });
});
