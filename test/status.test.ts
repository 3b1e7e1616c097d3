/** `holdfast status` shows the status page's data on a terminal, even while the source is absent or hangs. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { RawClient } from '../protocols/smb2/src/testing/raw-client.ts';
import type { Status } from '../src/admin/index.ts';
import { FuseTree, releasePath } from './kit/fuse.ts';
import { Gateway } from './kit/gateway.ts';
import { NfsClient } from './kit/nfs.ts';

const main = fileURLToPath(new URL('../dist/main.js', import.meta.url));
const token = 'a-token-of-the-test';
const film = releasePath(1, 'video.mkv');

let fuse: FuseTree;
let gateway: Gateway;
let config: string;
let tokenFile: string;
const cleanUp: (() => unknown)[] = [];
beforeEach(async () => {
  fuse = await FuseTree.start({ releases: 3 });
  cleanUp.push(() => fuse.dispose());
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-status-'));
  cleanUp.push(() => rmSync(folder, { recursive: true }));
  config = join(folder, 'holdfast.yaml');
  tokenFile = join(folder, 'token');
  writeFileSync(tokenFile, token);
  writeFileSync(
    config,
    `exports: { dfs: { path: ${fuse.mountpoint} } }
nfs: { listen: "127.0.0.1:0" }
smb: { listen: "127.0.0.1:0" }
admin: { listen: "127.0.0.1:0", tokenFile: ${tokenFile} }
`,
  );
  const protocols = ['nfs', 'smb', 'admin'];
  gateway = await Gateway.start({ args: ['serve', '--config', config], protocols });
  cleanUp.push(() => gateway.kill());
});
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

const place = () => ['--admin', `127.0.0.1:${gateway.port('admin')}`];
const shown = () => [...place(), '--token-file', tokenFile];

function status(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) =>
    execFile(process.execPath, [main, 'status', ...args], (error, out, err) =>
      resolve({ code: Number(error?.code ?? 0), out, err }),
    ),
  );
}

const asJson = async () => JSON.parse((await status(...shown(), '--json')).out) as Status;

it('shows readers, and after an outage its duration and waits', async () => {
  const nfs = await NfsClient.connect(gateway.port('nfs'));
  cleanUp.push(() => nfs.destroy());
  const smb = await RawClient.connect(gateway.port('smb'));
  cleanUp.push(() => smb.close());
  await smb.enter('dfs');
  const file = await nfs.walk(await nfs.mount('/dfs'), film);
  for (let index = 0; index < 4; index++) await nfs.read(file, index * 65536, 65536);
  const live = await status(...shown());
  expect(live.code).toBe(0);
  expect(live.out).toMatch(/EXPORT .*\n {2}dfs .* live /);
  expect(live.out).toMatch(/127\.0\.0\.1 +NFS .* 262 kB .* dfs\/__all__\/.*video\.mkv/);
  expect(live.out).toMatch(/127\.0\.0\.1 +SMB \d\.\d\.\d +guest +dfs/);
  expect(live.out).toMatch(/127\.0\.0\.1 +NFS +\d connections? +\/dfs/);

  await fuse.kill();
  await gateway.whenLogged(({ msg }) => msg === 'source is down');
  // Nobody has read there, so the cache does not have it.
  const waiting = nfs.read(file, 16 * 1024 * 1024, 4096);
  await expect.poll(async () => (await asJson()).exports[0]!.waitingForSource).toBe(1);
  await expect.poll(async () => (await asJson()).exports[0]!.waits.length, { timeout: 10_000 }).toBe(1);
  const away = await status(...shown());
  expect(away.out).toMatch(/ {2}dfs .* down .* 1 request waiting /);
  expect(away.out).toMatch(/Who waits\n.*\n {2}dfs .* 127\.0\.0\.1 +\/__all__\/.*video\.mkv/);

  await fuse.mount();
  expect((await waiting).data.length).toBe(4096);
  const line = await gateway.whenLogged(({ msg, epoch }) => msg === 'source is live' && epoch === 2);
  expect(line).toMatchObject({ export: 'dfs', waited: 1 });
  expect(Number(line['awaySeconds'])).toBeGreaterThanOrEqual(Number(line['longestSeconds']));
  expect(Number(line['longestSeconds'])).toBeGreaterThan(1);
  const { history } = (await asJson()).exports[0]!;
  expect(history.outages).toBe(1);
  expect(history.changes.map(({ state }) => state)).toEqual(['live', 'down', 'live']);
});

it('answers health, metrics and the status while every call to the source hangs', async () => {
  await fuse.hang();
  const nfs = await NfsClient.connect(gateway.port('nfs'));
  cleanUp.push(() => nfs.destroy());
  const root = await nfs.mount('/dfs');
  nfs.readdirplus(root).catch(() => undefined);
  const url = `http://127.0.0.1:${gateway.port('admin')}`;
  for (const path of ['/livez', '/readyz', '/metrics', '/api/status', '/']) {
    const since = performance.now();
    expect((await fetch(`${url}${path}`)).status).toBe(200);
    expect(performance.now() - since).toBeLessThan(2_000);
  }
  await fuse.heal();
});

it('shows only numbers without the token, and says what to do if no gateway answers', async () => {
  const numbers = await status(...place());
  expect(numbers.out).toMatch(/ {2}dfs +live /);
  expect(numbers.out).toContain('without its token');
  expect(numbers.out).not.toContain(fuse.mountpoint);
  await gateway.stop();
  const nothing = await status(...place());
  expect(nothing.code).toBe(1);
  expect(nothing.err).toMatch(/^holdfast: no answer from http:\/\/127\.0\.0\.1:\d+ .*is the gateway running/);
});

it('keeps updating with --watch', async () => {
  const child = spawn(process.execPath, [main, 'status', ...shown(), '--json', '--watch'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  cleanUp.push(() => child.kill('SIGKILL'));
  const at: number[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    at.push((JSON.parse(line) as Status).at);
    if (at.length === 2) break;
  }
  expect(at[1]! - at[0]!).toBeGreaterThan(1_500);
  child.kill('SIGINT');
  await once(child, 'exit');
});
