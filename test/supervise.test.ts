/** `holdfast run`: the child crashes, hangs, ends or leaves orphans while the gateway serves. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { inits } from '../src/supervise/init.ts';
import { contentSeed, firstDifference, FuseTree, MIB, releasePath } from './kit/fuse.ts';
import { Gateway, type LogLine } from './kit/gateway.ts';
import { NfsClient } from './kit/nfs.ts';

const mainPath = fileURLToPath(new URL('../dist/main.js', import.meta.url));
const listen = ['--nfs', '127.0.0.1:0', '--smb', '127.0.0.1:0', '--admin', '127.0.0.1:0'];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-supervise-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const args = (options: string[], ...command: string[]) => [
  'run',
  folder,
  '--no-expect-fuse',
  ...listen,
  ...options,
  '--',
  ...command,
];

/** A child that logs `up`, then `got SIG…` for each signal. It exits at a signal that has an exit code. */
function child(signals: Readonly<Record<string, number | null>>): string[] {
  const script = `
    const { writeSync } = require('node:fs');
    const say = (msg) => writeSync(1, JSON.stringify({ msg }) + '\\n');
    for (const [signal, code] of Object.entries(${JSON.stringify(signals)}))
      process.on(signal, () => { say('got ' + signal); if (code !== null) process.exit(code); });
    setInterval(() => {}, 1e6);
    say('up');`;
  return [process.execPath, '-e', script];
}

let gateway: Gateway | undefined;
afterEach(async () => {
  await gateway?.kill();
  gateway = undefined;
});

async function start(options: string[], ...command: string[]): Promise<Gateway> {
  gateway = await Gateway.start({ args: args(options, ...command), protocols: ['nfs'] });
  return gateway;
}

const logged = (one: Gateway, msg: string) => one.whenLogged((line) => line['msg'] === msg);
const place = (one: Gateway, msg: string) => one.log.findIndex((line) => line['msg'] === msg);

/** Whether the process runs. A zombie does not: it only waits for the machine's init. */
function isAlive(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

interface Ended {
  readonly code: number | null;
  readonly log: readonly LogLine[];
}

const processes = new Set<ChildProcess>();
afterEach(() => {
  for (const process of processes) process.kill('SIGKILL');
});

/** Runs a command that ends by itself. `onLine` is called for each line of its log. */
async function runToEnd(
  command: readonly string[],
  env: NodeJS.ProcessEnv = {},
  onLine: (line: LogLine, process: ChildProcess) => void = () => undefined,
): Promise<Ended> {
  const stdio = ['ignore', 'pipe', 'inherit'] as const;
  const started = spawn(command[0]!, command.slice(1), {
    stdio: [...stdio],
    env: { ...process.env, ...env },
  });
  processes.add(started);
  const log: LogLine[] = [];
  createInterface({ input: started.stdout }).on('line', (text) => {
    const line = (text.startsWith('{') ? JSON.parse(text) : { msg: text }) as LogLine;
    log.push(line);
    onLine(line, started);
  });
  const [code] = (await once(started, 'close')) as [number | null];
  processes.delete(started);
  return { code, log };
}

const holdfast = (options: string[], ...command: string[]) =>
  runToEnd([process.execPath, mainPath, ...args(options, ...command)]);

describe('a child that ends', () => {
  it('is started again after growing delays, while the gateway serves', async () => {
    const one = await start([], 'sh', '-c', 'exit 3');
    const nfs = await NfsClient.connect(one.port('nfs'));
    for (const delay of [250, 500, 1000]) {
      const line = await one.whenLogged(({ restartInMs }) => restartInMs === delay);
      expect(line).toMatchObject({ msg: 'child ended: starting it again', code: 3 });
      expect(await nfs.mount('/dfs')).toBeInstanceOf(Buffer);
    }
    nfs.close();
    expect(one.log.filter(({ msg }) => msg === 'child started')).toHaveLength(3);
    expect(await one.stop()).toBe(0);
  });

  it.each([
    ['never', 'exit 42', 42],
    ['never', 'kill -SEGV $$', 139],
    ['on-failure', 'exit 0', 0],
  ])('gives its exit code: --restart %s, %s', async (policy, script, expected) => {
    expect((await holdfast(['--restart', policy], 'sh', '-c', script)).code).toBe(expected);
  });

  it('does not exist: exit code 127, as in a shell', async () => {
    const { code, log } = await holdfast([], '/not/there');
    expect(code).toBe(127);
    expect(log.find(({ msg }) => msg === 'child cannot be started')?.['reason']).toContain('ENOENT');
    expect(log.some(({ msg }) => msg === 'listening')).toBe(false);
  });
});

describe('SIGTERM', () => {
  it('lets the gateway finish requests that need the child, then ends the child', async () => {
    const video = releasePath(1, 'video.mkv');
    await using fuse = await FuseTree.start({ releases: 2, files: [{ name: 'video.mkv', size: MIB }] });
    gateway = await Gateway.start({
      args: ['run', fuse.mountpoint, ...listen, '--', ...child({ SIGTERM: 5 })],
      protocols: ['nfs'],
    });
    const one = gateway;
    await logged(one, 'up');
    const nfs = await NfsClient.connect(one.port('nfs'));
    const file = await nfs.walk(await nfs.mount('/dfs'), video);
    await fuse.hang(video, 'read');
    const reading = nfs.read(file, 0, 65_536);
    await fuse.whenHeld();

    const stopped = one.stop();
    await logged(one, 'stopping: finishing outstanding requests');
    expect(place(one, 'got SIGTERM')).toBe(-1);
    await fuse.heal(video);
    const { data } = await reading;
    expect(data).toHaveLength(65_536);
    expect(firstDifference(contentSeed(video), 0, data)).toBe(-1);
    expect(await stopped).toBe(5);
    expect(place(one, 'stopped')).toBeGreaterThan(-1);
    expect(place(one, 'stopping the child')).toBeGreaterThan(place(one, 'stopped'));
    expect(place(one, 'got SIGTERM')).toBeGreaterThan(place(one, 'stopping the child'));
    nfs.close();
  });

  it('kills a child that ignores it, and the child’s processes, after the stop timeout', async () => {
    const script = `trap '' TERM; sleep 600 & echo "{\\"msg\\":\\"up\\",\\"sleeper\\":$!}"; wait`;
    const one = await start(['--stop-timeout', '0.2'], 'sh', '-c', script);
    const sleeper = Number((await logged(one, 'up'))['sleeper']);
    expect(await one.stop()).toBe(137);
    expect(place(one, 'the child did not end in time: killing it')).toBeGreaterThan(-1);
    await vi.waitFor(() => expect(isAlive(sleeper)).toBe(false));
  });
});

describe('other signals', () => {
  const hearing = child({ SIGUSR1: null, SIGUSR2: null, SIGHUP: null });

  it('SIGUSR1 and SIGUSR2 go to the child, SIGHUP does not', async () => {
    const one = await start([], ...hearing);
    await logged(one, 'up');
    one.signal('SIGHUP');
    await logged(one, 'signal kept from the child');
    for (const name of ['SIGUSR1', 'SIGUSR2'] as const) {
      one.signal(name);
      await logged(one, `got ${name}`);
    }
    expect(place(one, 'got SIGHUP')).toBe(-1);
    expect(await one.stop()).toBe(143);
  });

  it('SIGHUP does with --forward-hup', async () => {
    const one = await start(['--forward-hup'], ...hearing);
    await logged(one, 'up');
    one.signal('SIGHUP');
    await logged(one, 'got SIGHUP');
    expect(await one.stop()).toBe(143);
  });
});

describe('output', () => {
  const script = `printf 'plain\\n'; printf '\\033[31mred\\033[0m\\nlast' >&2`;

  it('is untouched by default', async () => {
    const { log } = await holdfast(['--restart', 'never'], 'sh', '-c', script);
    expect(log).toContainEqual({ msg: 'plain' });
  });

  it('becomes lines of the log, the last one too', async () => {
    const { log } = await holdfast(['--restart', 'never', '--child-output', 'log'], 'sh', '-c', script);
    for (const [stream, msg] of [
      ['stdout', 'plain'],
      ['stderr', 'red'],
      ['stderr', 'last'],
    ])
      expect(log).toContainEqual(expect.objectContaining({ child: 'sh', stream, msg }));
  });
});

/** Exit code 7: every orphan was reaped. 8: zombies are left. */
const orphans = `
pids=$(for i in 1 2 3; do sh -c 'sleep 0.2 >/dev/null & echo $!'; done)
tries=0
for pid in $pids; do
  while [ -e /proc/$pid ]; do
    tries=$((tries + 1)); [ $tries -gt 100 ] && exit 8
    sleep 0.05
  done
done
exit 7`;

describe('as PID 1', () => {
  const namespace = ['unshare', '--pid', '--fork', '--mount-proc', '--kill-child'];
  const inNamespace = (options: string[], ...command: string[]) => [
    ...namespace,
    process.execPath,
    mainPath,
    ...args(options, ...command),
  ];
  /** Signals PID 1 of the new namespace; `unshare` itself does not forward signals. */
  const signalFirst = ({ pid }: ChildProcess, signal: NodeJS.Signals) => {
    const children = readFileSync(`/proc/${pid!}/task/${pid!}/children`, 'utf8');
    process.kill(Number(children.trim()), signal);
  };

  it('leaves no orphan a zombie, and keeps the exit code', async () => {
    const { code, log } = await runToEnd(inNamespace(['--restart', 'never'], 'sh', '-c', orphans));
    expect(code).toBe(7);
    expect(log[0]).toMatchObject({ pid: 1, msg: expect.stringContaining('orphans are reaped') as string });
  });

  it('hands signals on', async () => {
    const command = inNamespace([], ...child({ SIGTERM: 9 }));
    const { code, log } = await runToEnd(command, {}, ({ msg }, process) => {
      if (msg === 'up') signalFirst(process, 'SIGTERM');
    });
    expect(code).toBe(9);
    const messages = log.map(({ msg }) => msg);
    expect(messages.indexOf('stopping the child')).toBeGreaterThan(messages.indexOf('stopped'));
  });

  it('says so in one line when there is no init, and works', async () => {
    const [unshare, ...rest] = inNamespace(['--restart', 'never'], '/bin/sh', '-c', 'exit 6');
    const { code, log } = await runToEnd([`/usr/bin/${unshare!}`, ...rest], { PATH: '/not/there' });
    expect(code).toBe(6);
    expect(log.filter(({ level }) => Number(level) >= 40)).toEqual([
      expect.objectContaining({ pid: 1, msg: expect.stringContaining('orphans stay zombies') as string }),
    ]);
  });

  it.each(['sh', 'perl'])('%s is an init: orphans, exit code, signals, input', async (program) => {
    const init = inits.find((one) => one.program === program)!;
    const below = (...command: string[]) => [...namespace, program, ...init.args, ...command];
    expect((await runToEnd(below('sh', '-c', orphans))).code).toBe(7);
    expect((await runToEnd(below('sh', '-c', 'kill -KILL $$'))).code).toBe(137);
    const { code } = await runToEnd(
      below(...child({ SIGUSR1: null, SIGTERM: 9 })),
      {},
      ({ msg }, process) => {
        if (msg === 'up') signalFirst(process, 'SIGUSR1');
        if (msg === 'got SIGUSR1') signalFirst(process, 'SIGTERM');
      },
    );
    expect(code).toBe(9);
    const reading = below('sh', '-c', 'read line; [ "$line" = text ] && exit 4');
    expect((await runToEnd(['sh', '-c', 'echo text | "$@"', 'sh', ...reading])).code).toBe(4);
  });
});
