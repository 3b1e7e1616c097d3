import { once } from 'node:events';
import { connect, type AddressInfo, type Server } from 'node:net';
import { afterEach, expect, it, vi } from 'vitest';
import { GuardedServer } from './admission.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function listening(admits: (address: string) => boolean) {
  const refused = vi.fn();
  const accepted = vi.fn();
  const server = new GuardedServer({}, { admits, refused });
  servers.push(server);
  server.on('connection', (socket) => {
    accepted(socket.remoteAddress);
    socket.end('hello');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, refused, accepted, port: (server.address() as AddressInfo).port };
}

it('accepts a connection from an allowed address', async () => {
  const { port, accepted, refused } = await listening((address) => address === '127.0.0.1');
  const socket = connect(port, '127.0.0.1');
  expect(String((await once(socket, 'data'))[0])).toBe('hello');
  socket.destroy();
  expect(accepted).toHaveBeenCalledWith('127.0.0.1');
  expect(refused).not.toHaveBeenCalled();
});

it('resets any other connection before the protocol sees it', async () => {
  const { server, port, accepted, refused } = await listening((address) => address !== '127.0.0.1');
  const socket = connect(port, '127.0.0.1');
  const failed = once(socket, 'error');
  expect(((await failed)[0] as NodeJS.ErrnoException).code).toBe('ECONNRESET');
  expect(refused).toHaveBeenCalledWith('127.0.0.1', expect.any(Number));
  expect(accepted).not.toHaveBeenCalled();
  expect(await new Promise((resolve) => server.getConnections((_, count) => resolve(count)))).toBe(0);
});
