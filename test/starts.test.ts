/** Starts of `holdfast serve` that fail: each ends the process with one line that says what to do. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';

const main = fileURLToPath(new URL('../dist/main.js', import.meta.url));
const limitMs = 15_000;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-starts-'));
  mkdirSync(join(folder, 'media'));
  writeFileSync(join(folder, 'file'), '');
  symlinkSync(join(folder, 'nowhere'), join(folder, 'link'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const local = ['--nfs', '127.0.0.1:0', '--smb', '127.0.0.1:0', '--admin', '127.0.0.1:0'];

/** Starts the program, and resolves when it has ended by itself. */
async function ending(...args: string[]): Promise<{ code: number | null; err: string; out: string }> {
  const child = spawn(process.execPath, [main, ...args], {
    cwd: folder,
    timeout: limitMs,
    killSignal: 'SIGKILL',
  });
  let [out, err] = ['', ''];
  child.stdout.on('data', (text: Buffer) => (out += text.toString()));
  child.stderr.on('data', (text: Buffer) => (err += text.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, err, out };
}

const plain = () => ['serve', join(folder, 'media'), '--no-expect-fuse', ...local];

it.each([
  ['nowhere/pid', /^holdfast: --pid-file: the folder \S+\/nowhere does not exist\n$/],
  ['file/pid', /^holdfast: --pid-file: \S+\/file is not a folder\n$/],
  ['media', /^holdfast: --pid-file: \S+\/media is a folder; expected a file\n$/],
])('ends where the pid file cannot be written: %s', async (place, line) => {
  const { code, err, out } = await ending(...plain(), '--pid-file', join(folder, place));
  expect([code, err]).toEqual([1, expect.stringMatching(line)]);
  expect(out).toContain('"msg":"stopped"');
});

it('says which server found its port in use', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const { port } = taken.address() as AddressInfo;
  try {
    const { code, err } = await ending(...plain(), '--admin', `127.0.0.1:${port}`);
    expect([code, err]).toEqual([
      1,
      expect.stringMatching(
        `^holdfast: the admin server cannot listen at 127.0.0.1:${port}: the port is in use`,
      ),
    ]);
  } finally {
    taken.close();
  }
});

it.each([
  ['file/x', /state: \S+\/file is not a folder/],
  ['link/x', /state: \S+\/link is a link to something that does not exist/],
  ['/proc/nope', /state: \/proc .*proc/],
])('refuses state: %s as check does', async (state, line) => {
  const file = join(folder, 'holdfast.yaml');
  writeFileSync(file, `exports: { dfs: { path: media, expectFuse: false } }\nstate: ${state}\n`);
  const checked = await ending('check', file);
  expect([checked.code, checked.err]).toEqual([2, expect.stringMatching(line)]);
  expect(await ending('serve', '--config', file, ...local)).toEqual(checked);
  expect(existsSync(join(folder, 'nowhere'))).toBe(false);
});
