import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { main } from './index.ts';

/** What a gateway answers, as far as these commands look at it. */
const exports = [
  { name: 'media', mounts: [{ path: '/torrents' }, { path: '/films/new' }] },
  { name: 'tt', mounts: [] },
];
const token = 'correct horse battery';

let folder: string;
let server: Server;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-admin-'));
  writeFileSync(join(folder, 'wrong'), 'wrong horse battery\n');
  writeFileSync(join(folder, 'right'), `${token}\n`);
  server = createServer((request, response) => {
    const acts = request.headers.authorization === `Bearer ${token}`;
    const answer = (status: number, value: object) =>
      response
        .writeHead(status, { 'content-type': 'application/json; charset=utf-8' })
        .end(JSON.stringify(value));
    const rights = { names: acts, acts, token: true };
    if (request.method === 'GET') return void answer(200, { rights, ready: true, exports });
    if (acts) return void answer(404, { error: 'there is nothing like that any more' });
    response.writeHead(403, { 'content-type': 'text/plain; charset=utf-8' }).end('the token is missing\n');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(() => {
  server.close();
  server.closeAllConnections();
  rmSync(folder, { recursive: true });
});

async function run(...argv: string[]) {
  let [out, err] = ['', ''];
  const { port } = server.address() as AddressInfo;
  const code = await main(
    [...argv, '--admin', `127.0.0.1:${port}`],
    {},
    {
      env: {},
      interactive: false,
      out: (text: string) => void (out += text),
      err: (text: string) => void (err += text),
    },
  );
  return { code, out, err: err.replaceAll(String(port), 'PORT').replaceAll(folder, 'FOLDER') };
}

const right = () => ['--token-file', join(folder, 'right')];

it.each([
  [['zz'], 'there is no export zz; expected one of media, tt'],
  [['tt', 'foo/bar'], 'export tt expects no mount at foo/bar: it expects none below its path'],
  [['media'], 'export media expects no mount at its own path: it expects torrents, films/new'],
])('names what there is to forget beside %j', async (argv, line) => {
  expect(await run('forget', ...argv, ...right())).toEqual({ code: 1, out: '', err: `holdfast: ${line}\n` });
});

it.each([['status'], ['status', '--json'], ['forget', 'media']])(
  'says that the token of %s %s is wrong',
  async (...argv) => {
    const { code, out, err } = await run(...argv, '--token-file', join(folder, 'wrong'));
    expect([code, out]).toEqual([1, '']);
    expect(err).toBe(
      'holdfast: the token of --token-file FOLDER/wrong is not that of http://127.0.0.1:PORT\n',
    );
  },
);

it('says how to give the token', async () => {
  const { code, err } = await run('forget', 'media');
  expect([code, err]).toEqual([
    1,
    'holdfast: http://127.0.0.1:PORT asks for its token: --token-file FILE or --config FILE\n',
  ]);
});
