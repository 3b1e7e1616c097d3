import { connect, createServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { createLogger } from '../log/index.ts';
import { takeInheritance } from './inheritance.ts';
import { Listeners } from './listeners.ts';
import { startSuccessor } from './successor.ts';
import { Takeover } from './takeover.ts';

const log = createLogger('silent');
const at = { host: '127.0.0.1', port: 0 };

const open = new Set<{ close(): unknown }>();
afterEach(() => {
  for (const server of open) server.close();
  open.clear();
});

async function listeners(): Promise<Listeners> {
  const all = new Listeners();
  const server = createServer();
  open.add(server);
  await all.listen(server, 'nfs', at);
  return all;
}

/** A program started like a successor. */
const program = (script: string): [string, string, string] => [process.execPath, '-e', script];

/** Code that finds the inherited descriptor of a socket. */
const inherits = `
  const { 'nfs 127.0.0.1:0': fd } = JSON.parse(process.env.HOLDFAST_INHERITED_SOCKETS);
  require('net').createServer((socket) => socket.end(String(process.pid))).listen({ fd }, () =>
    process.send('holdfast: ready', () => process.disconnect()));
  setTimeout(() => process.exit(), 20_000);`;

async function ask(port: number): Promise<string> {
  let text = '';
  for await (const chunk of connect(port, '127.0.0.1')) text += String(chunk);
  return text;
}

describe('a successor', () => {
  it('serves at the very socket, also once its predecessor has closed it', async () => {
    const all = new Listeners();
    const server = createServer();
    const { port } = await all.listen(server, 'nfs', at);
    const pid = await startSuccessor({ sockets: all.sockets, command: program(inherits) });
    await new Promise((resolve) => server.close(resolve));
    expect(all.sockets.size).toBe(0);
    expect(await ask(port)).toBe(String(pid));
    process.kill(pid);
  });

  it.each([
    ['process.exit(3)', 'it ended with exit code 3'],
    ['process.kill(process.pid, "SIGKILL")', 'it ended with SIGKILL'],
    ['process.send("something else"); setTimeout(() => process.exit(4), 50)', 'it ended with exit code 4'],
  ])('that ends too early is told of: %s', async (script, reason) => {
    const { sockets } = await listeners();
    await expect(startSuccessor({ sockets, command: program(script) })).rejects.toThrow(reason);
  });

  it('that cannot be started is told of', async () => {
    const { sockets } = await listeners();
    await expect(startSuccessor({ sockets, command: ['/not/there'] })).rejects.toThrow('ENOENT');
  });

  it('that takes too long, or is not wanted any more, is ended', async () => {
    const { sockets } = await listeners();
    const command = program('setInterval(() => {}, 1e6)');
    await expect(startSuccessor({ sockets, command, readyMs: 50 })).rejects.toThrow('within 0.05 s');
    const unwanted = new AbortController();
    setTimeout(() => unwanted.abort(), 50);
    await expect(startSuccessor({ sockets, command, signal: unwanted.signal })).rejects.toThrow(
      'asked to stop',
    );
  });
});

describe('Takeover', () => {
  const sockets = () => Promise.resolve(new Map<string, number>());

  it('is done when a successor serves, and is not begun twice', async () => {
    let starts = 0;
    const start = () => Promise.resolve(++starts);
    const takeover = new Takeover({ sockets, log, start });
    await Promise.all([takeover.begin(), takeover.begin()]);
    await takeover.done;
    await takeover.begin();
    expect(starts).toBe(1);
  });

  it('may be tried again after a failure', async () => {
    let starts = 0;
    const start = () => (++starts < 3 ? Promise.reject(new Error('no')) : Promise.resolve(1));
    const takeover = new Takeover({ sockets, log, start });
    for (let i = 0; i < 3; i++) await takeover.begin();
    await takeover.done;
    expect(starts).toBe(3);
  });

  it('is refused to PID 1, whose end would end the container', async () => {
    const start = () => Promise.reject(new Error('must not be called'));
    const lines: string[] = [];
    const own = createLogger('info', { destination: { write: (line: string) => void lines.push(line) } });
    await new Takeover({ sockets, log: own, start, pid: 1 }).begin();
    expect(lines.join('')).toContain('takeover refused');
    expect(lines).toHaveLength(1);
  });

  it('gives up the successor when this process is asked to stop', async () => {
    let seen: AbortSignal | undefined;
    const start = ({ signal }: { readonly signal?: AbortSignal }) => {
      seen = signal;
      return new Promise<number>((_, reject) =>
        signal!.addEventListener('abort', () => reject(new Error('stop'))),
      );
    };
    const takeover = new Takeover({ sockets, log, start });
    const begun = takeover.begin();
    await new Promise(setImmediate);
    takeover.cancel();
    await begun;
    expect(seen?.aborted).toBe(true);
  });
});

describe('takeInheritance', () => {
  it('is nothing without a predecessor, and is taken once', () => {
    expect(takeInheritance({})).toBeUndefined();
    const env = { HOLDFAST_INHERITED_SOCKETS: '{"nfs 0.0.0.0:2049":4}', PATH: '/bin' };
    expect([...takeInheritance(env)!.sockets]).toEqual([['nfs 0.0.0.0:2049', 4]]);
    expect(env).toEqual({ PATH: '/bin' });
  });
});

describe('Listeners', () => {
  it('listens anew where nothing was inherited for that address, and rejects as listen does', async () => {
    const all = await listeners();
    expect([...all.sockets.values()][0]).toBeGreaterThan(2);
    const taken = createServer();
    await expect(all.listen(taken, 'smb', { host: '192.0.2.1', port: 1 })).rejects.toMatchObject({
      code: 'EADDRNOTAVAIL',
    });
    expect([...all.sockets.keys()]).toEqual(['nfs 127.0.0.1:0']);
  });
});
