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

  it('ends with the last bytes of the last large frame and what follows it, once all else has left', async () => {
    const { socket, peer } = await pair();
    const outbox = new Outbox(socket, 1000, () => undefined);
    const frames = [1, 2, 3].map((byte) => Buffer.alloc(byte === 3 ? 100 : 4 * 1024 * 1024, byte));
    const told: number[] = [];
    const received: Buffer[] = [];
    peer.on('data', (chunk) => received.push(chunk));
    const left: number[] = [];
    const end = socket.end.bind(socket);
    vi.spyOn(socket, 'end').mockImplementation((done) => {
      left.push(socket.writableLength);
      return end(done as unknown as () => void);
    });
    const done = vi.fn();
    outbox.end(() => {
      for (const [index, frame] of frames.entries()) outbox.send(frame, { release: () => told.push(index) });
    }, done);
    expect(told).toEqual([]);
    await once(peer, 'end');
    expect(Buffer.concat(received).equals(Buffer.concat(frames))).toBe(true);
    expect(left).toEqual([1024 + 100]);
    expect(told).toEqual([0, 1, 2]);
    await expect.poll(() => done.mock.calls.length).toBe(1);
  });

  it('ends at once with small frames only, or none', async () => {
    for (const count of [0, 2]) {
      const { socket, peer } = await pair();
      const outbox = new Outbox(socket, 1000, () => undefined);
      const received: Buffer[] = [];
      peer.on('data', (chunk) => received.push(chunk));
      outbox.end(
        () => {
          for (let index = 0; index < count; index++) outbox.send(Buffer.from([index]));
        },
        () => undefined,
      );
      await once(peer, 'end');
      expect([...Buffer.concat(received)]).toEqual(count === 0 ? [] : [0, 1]);
    }
  });

  it('tells the owners if the peer goes while it ends', async () => {
    const { socket } = await pair();
    const outbox = new Outbox(socket, 1000, () => undefined);
    const release = vi.fn();
    // Nobody reads, so the kernel does not take all of it.
    outbox.end(
      () => {
        for (let index = 0; index < 3; index++) outbox.send(Buffer.alloc(16 * 1024 * 1024), { release });
      },
      () => undefined,
    );
    socket.destroy();
    await expect.poll(() => release.mock.calls.length).toBe(3);
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
