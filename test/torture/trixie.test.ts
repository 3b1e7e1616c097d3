/** Debian trixie's smbtorture against the in-memory backend and, for comparison, against trixie's smbd. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { sambaRoot } from '../kit/samba.ts';

const runner = fileURLToPath(new URL('run.mjs', import.meta.url));

async function run(...args: string[]): Promise<number | null> {
  const root = await sambaRoot('trixie');
  const child = spawn(process.execPath, [runner, '--root', root, ...args], { stdio: 'inherit' });
  const [code] = (await once(child, 'close')) as [number | null];
  return code;
}

it('passes the tests that are expected to pass', async () => {
  expect(await run('--expected', 'expected-trixie.txt')).toBe(0);
});

it.runIf(process.env['TORTURE_PEER'] === '1')("trixie's own smbd passes what it did", async () => {
  expect(await run('--peer')).toBe(0);
});
