import { createServer } from 'node:net';
import { once } from 'node:events';
import { expect, it } from 'vitest';
import { loadConfig } from '../config/index.ts';
import { listenError } from './listen-error.ts';

const config = loadConfig({
  flags: { path: '/mnt/dfs', nfs: '127.0.0.1:12049', smb: '0.0.0.0:445', admin: 'nowhere.invalid:9445' },
  env: {},
  elsewhere: true,
});
const said = (fields: object) =>
  (listenError(Object.assign(new Error('raw'), fields), config) as Error).message;

it.each([
  [
    { code: 'EADDRINUSE', syscall: 'listen', address: '127.0.0.1', port: 12049 },
    "the NFS server cannot listen at 127.0.0.1:12049: the port is in use (ss -ltnp 'sport = :12049' shows by which program); stop that program, or choose another place by nfs.listen or --nfs HOST:PORT",
  ],
  [
    { code: 'EACCES', syscall: 'listen', address: '0.0.0.0', port: 445 },
    'the SMB server cannot listen at 0.0.0.0:445: ports below 1024 need root or the capability CAP_NET_BIND_SERVICE; otherwise choose another place by smb.listen or --smb HOST:1445',
  ],
  [
    { code: 'EADDRINUSE', syscall: 'bind', address: '127.0.0.1', port: 111 },
    expect.stringMatching(/^the portmap server cannot listen at 127\.0\.0\.1:111: .*nfs\.portmap: false$/),
  ],
  [
    { code: 'ENOTFOUND', syscall: 'getaddrinfo', hostname: 'nowhere.invalid' },
    expect.stringMatching(/^the admin server .*: the name nowhere\.invalid has no address; .*--admin/),
  ],
  [
    { code: 'EADDRNOTAVAIL', syscall: 'listen', address: '127.0.0.1', port: 12049 },
    expect.stringMatching(/this machine has no address 127\.0\.0\.1/),
  ],
])('explains %j', (fields, line) => expect(said(fields)).toEqual(line));

it('leaves other errors alone', () => {
  expect(said({ code: 'ENOENT', syscall: 'open' })).toBe('raw');
  expect(said({ code: 'EADDRINUSE', syscall: 'listen', port: 1 })).toBe('raw');
});

it('knows the errors of this system', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const other = createServer().listen(port, '127.0.0.1');
  const [error] = (await once(other, 'error').catch((reason: unknown) => [reason])) as [unknown];
  server.close();
  const taken = { ...config, nfs: { ...config.nfs, listen: { host: '127.0.0.1', port } } };
  expect((listenError(error, taken) as Error).message).toMatch(/^the NFS server .* the port is in use/);
});
