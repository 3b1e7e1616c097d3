/** `holdfast demo` as an operator uses it: commands typed while it runs act on its tree. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, it } from 'vitest';
import { releasePath } from './kit/fuse.ts';
import { NfsClient } from './kit/nfs.ts';

const main = fileURLToPath(new URL('../dist/main.js', import.meta.url));
const listen = ['--nfs', '127.0.0.1:0', '--smb', '127.0.0.1:0', '--admin', '127.0.0.1:0'];

let demo: ReturnType<typeof start>;
afterEach(() => demo.end());

function start() {
  const child = spawn(process.execPath, [main, 'demo', ...listen], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines: string[] = [];
  const output = createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
  const gone = once(child, 'exit') as Promise<[number | null]>;
  /** The first matching line, whether already printed or still to come. */
  const line = async (pattern: RegExp): Promise<string> => {
    for (let seen = 0; ; seen++) {
      while (seen >= lines.length) await once(output, 'line', { signal: AbortSignal.timeout(20_000) });
      if (pattern.test(lines[seen]!)) return lines[seen]!;
    }
  };
  const type = (text: string, answer: RegExp) => {
    lines.length = 0;
    child.stdin.write(`${text}\n`);
    return line(answer);
  };
  const end = async () => {
    if (child.exitCode === null) child.kill('SIGTERM');
    return (await gone)[0];
  };
  return { line, type, end, closeInput: () => child.stdin.end() };
}

it('runs typed commands, and clients see the effect', async () => {
  demo = start();
  const listening = await demo.line(/"protocol":"nfs".*listening/);
  await demo.line(/Ctrl-C ends the demo/);
  const client = await NfsClient.connect((JSON.parse(listening) as { port: number }).port);
  try {
    const root = await client.mount('/dfs');
    const file = await client.walk(root, releasePath(0, 'video.mkv'));
    await demo.type('help', /leave +the daemon shuts down/);
    await demo.type('dance', /Unknown command/);
    const path = (await demo.type('add', /is there/)).split(' ')[0]!;
    expect(
      (await client.getattr(await client.walk(root, `${path}/video.mkv`))).attributes.size,
    ).toBeGreaterThan(0);

    await demo.type('kill', /is dead/);
    const read = client.read(file, 0, 4096);
    await demo.type('mount', /mounted again/);
    expect((await read).data).toHaveLength(4096);
    await demo.type('leave', /has left/);
    await demo.type('mount', /mounted again/);
    await demo.type('hang', /hang/);
    await demo.type('heal', /faults have ended/);
    expect((await client.read(file, 2 ** 20, 4096)).data).toHaveLength(4096);
    demo.closeInput();
    expect((await client.getattr(root)).attributes.type).toBe(2);
  } finally {
    client.close();
  }
  expect(await demo.end()).toBe(0);
});
