/** `holdfast bench` on a FUSE tree, and through a gateway. Checks that everything was measured, not how fast it was. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { FuseTree } from './kit/fuse.ts';
import { Gateway } from './kit/gateway.ts';

const main = fileURLToPath(new URL('../dist/main.js', import.meta.url));

let fuse: FuseTree;
beforeAll(async () => {
  fuse = await FuseTree.start({ releases: 5 });
});
afterAll(() => fuse.dispose());

function bench(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) =>
    execFile(process.execPath, [main, 'bench', '--seconds', '2', ...args], (error, out, err) =>
      resolve({ code: Number(error?.code ?? 0), out, err }),
    ),
  );
}

const whole = {
  files: expect.any(Number) as number,
  list: { count: expect.any(Number) as number },
  look: { count: expect.any(Number) as number },
  firstByte: { count: expect.any(Number) as number },
  oneStream: { bytes: expect.any(Number) as number },
  streams: { atOnce: expect.any(Number) as number },
  small: { count: expect.any(Number) as number },
};

it('measures a source', async () => {
  const { code, out } = await bench(fuse.mountpoint, '--json');
  expect(code).toBe(0);
  expect(JSON.parse(out)).toMatchObject(whole);
});

it('measures a gateway over NFS, and prints the result as text', async () => {
  const args = [
    'serve',
    fuse.mountpoint,
    '--nfs',
    '127.0.0.1:0',
    '--smb',
    '127.0.0.1:0',
    '--admin',
    '127.0.0.1:0',
  ];
  await using gateway = await Gateway.start({ args });
  const place = `127.0.0.1:${gateway.port('nfs')}`;
  const { code, out } = await bench('--gateway', place);
  expect(code).toBe(0);
  for (const row of ['network, one small call', 'list a folder', 'look at an entry', 'begin to read a file'])
    expect(out).toMatch(new RegExp(`${row} +\\d+ +[\\d.]+ ms`));
  expect(out).toMatch(/\d streams? at once +[\d.]+ [kMG]?B\/s/);
});

it('reports missing arguments', async () => {
  expect(await bench()).toMatchObject({
    code: 2,
    err: expect.stringContaining('one of PATH and --gateway') as string,
  });
  const gone = await bench('--gateway', '127.0.0.1:1');
  expect([gone.code, gone.err]).toEqual([1, expect.stringContaining('ECONNREFUSED')]);
});
