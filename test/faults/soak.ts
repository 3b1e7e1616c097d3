/** Random faults under consumers of both protocols for a given time. Afterwards the gateway must be idle and hold no leaks. */
import { readdirSync, readFileSync } from 'node:fs';
import { MIB, releasePath } from '../kit/fuse.ts';
import { Lab, rate, video } from './lab.ts';
import type { Protocol } from './server.ts';
import { unharmed } from './scenario.ts';
import { last } from './time.ts';

export interface SoakOptions {
  readonly seconds: number;
  /** Decides the kind, order and duration of the faults. */
  readonly seed: number;
  readonly protocols: readonly Protocol[];
  readonly log: (line: string) => void;
}

/** Resources that the gateway's process holds. */
interface Holdings {
  readonly rssMib: number;
  readonly descriptors: number;
  readonly threads: number;
}

const loop = 'enough';
/** Ms until the resources are compared: idle descriptors are kept for 60 s, threads of libuv's pool for ever. */
const settleMs = 120_000;
const slackRss = 96;
const slackDescriptors = 16;
const slackThreads = 4;

/** Mulberry32: a deterministic sequence of numbers in [0, 1) for each seed. */
function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function holdings(pid: number): Holdings {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1]);
  const descriptors = readdirSync(`/proc/${pid}/fd`).length;
  return { rssMib: Math.round(field('VmRSS') / 1024), descriptors, threads: field('Threads') };
}

const show = ({ rssMib, descriptors, threads }: Holdings) =>
  `${rssMib} MiB, ${descriptors} descriptors, ${threads} threads`;

type Fault = readonly [name: string, play: (ms: number) => Promise<void>];

function sourceFaults(lab: Lab, random: () => number): readonly Fault[] {
  const { fuse } = lab;
  const release = () => Math.floor(random() * fuse.spec.releases);
  const hang = async (path: string, operation: 'read' | 'lookup' | 'list', ms: number) => {
    await fuse.hang(path, operation);
    await last(ms);
    await fuse.heal(path);
  };
  return [
    [
      'FUSE daemon killed',
      async (ms) => {
        await fuse.kill();
        await last(ms);
        await fuse.mount();
      },
    ],
    [
      'unmounted',
      async (ms) => {
        await lab.unmountFuse();
        await last(ms);
        await fuse.mount();
      },
    ],
    [
      'whole mount hangs',
      async (ms) => {
        await fuse.hang('/');
        await last(ms);
        await fuse.heal('/');
      },
    ],
    ['a file hangs', (ms) => hang(releasePath(release(), video.name), 'read', ms)],
    ['a lookup hangs', (ms) => hang(releasePath(release(), video.name), 'lookup', ms)],
    ['a listing hangs', (ms) => hang(releasePath(release()), 'list', ms)],
    [
      'everything is slow',
      async (ms) => {
        await fuse.setLatency({ read: 100, lookup: 20, list: 50, open: 50 });
        await last(ms);
        await fuse.setLatency({ read: 2 });
      },
    ],
    [
      'packets are lost',
      async (ms) => {
        lab.lose('all');
        await last(ms);
        lab.lose('none');
      },
    ],
  ];
}

function gatewayFaults(lab: Lab): readonly Fault[] {
  return [
    [
      'gateway killed',
      async () => {
        await lab.gateway.kill();
        await lab.serve();
      },
    ],
    [
      'gateway drained',
      async () => {
        await lab.gateway.stop(40_000);
        await lab.serve();
      },
    ],
    ['gateway taken over', () => lab.takeOver()],
    ['connections reset', () => lab.resetConnections()],
    [
      'both killed, mount late',
      async (ms) => {
        await Promise.all([lab.gateway.kill(), lab.fuse.kill()]);
        await lab.fuse.detach();
        await lab.serve();
        await last(ms);
        await lab.fuse.mount();
      },
    ],
  ];
}

/** Starts consumers that run until the flag is set. `check` fails once one of them has seen something wrong. */
function consume(lab: Lab, protocols: readonly Protocol[], random: () => number) {
  const expected = lab.fuse.spec.releases;
  const failures: unknown[] = [];
  let enough = false;
  const watch = async (work: Promise<void>) => {
    await work.catch((error: unknown) => failures.push(error));
  };
  const newcomers = async (through: Protocol) => {
    while (!enough && failures.length === 0) {
      const release = Math.floor(random() * expected);
      unharmed(await lab.play(release, { through, rate: 2 * rate }).done(300_000));
    }
  };
  const forever = protocols.flatMap((through) => [
    ...[0, 1].map((release) => lab.play(release, { through, loop, rate: rate / 2 })),
    lab.list('/__all__', { through, expected, loop, pause: 200 }),
    lab.list('/__all__', { through, expected, loop, pause: 1_000, drop: 1 }),
    lab.list(releasePath(2), { through, expected: 2, loop, pause: 300 }),
  ]);
  const all = [
    ...forever.map((one) => watch(one.seen.then(unharmed))),
    ...protocols.map((through) => watch(newcomers(through))),
  ];
  return {
    check: () => {
      if (failures.length > 0) throw failures[0];
    },
    end: async () => {
      enough = true;
      lab.client.flag(loop);
      await Promise.all(all);
    },
  };
}

/** Metrics lines of requests that wait or run in the gateway. Empty once all consumers have ended. */
async function busyLanes(lab: Lab): Promise<string[]> {
  const lines = (await lab.metrics()).split('\n');
  return lines.filter(
    (line) =>
      /^holdfast_\w*(waiting|hung|in_flight)\w*[ {]/.test(line) &&
      !line.includes('probe') &&
      !/ 0$/.test(line),
  );
}

async function settled(lab: Lab, before: Holdings, log: (line: string) => void): Promise<void> {
  const begun = performance.now();
  for (;;) {
    const now = holdings(lab.gateway.pid);
    const excess = [
      ...(now.rssMib > before.rssMib + slackRss ? ['memory'] : []),
      ...(now.descriptors > before.descriptors + slackDescriptors ? ['descriptors'] : []),
      ...(now.threads > before.threads + slackThreads ? ['threads'] : []),
      ...(await busyLanes(lab)),
    ];
    if (excess.length === 0) {
      log(`left over: ${show(now)}; nothing waits`);
      return;
    }
    if (performance.now() - begun > settleMs)
      throw new Error(`left over: ${show(now)}; ${excess.join(', ')}`);
    await last(5_000);
  }
}

/** Fails at the first wrong byte, error or leak. The gateway is restarted in the first third only. */
export async function soak({ seconds, seed, protocols, log }: SoakOptions): Promise<void> {
  const random = randomNumbers(seed);
  const [first, ...also] = protocols;
  if (first === undefined) throw new Error('no protocol to soak');
  await using lab = await Lab.start(first, { also });
  const consumers = consume(lab, protocols, random);
  const begun = performance.now();
  const elapsed = () => (performance.now() - begun) / 1000;
  const early = [...gatewayFaults(lab), ...sourceFaults(lab, random)];
  let before: Holdings | undefined;
  for (let count = 1; elapsed() < seconds; count++) {
    const late = elapsed() > seconds / 3;
    if (late) before ??= holdings(lab.gateway.pid);
    const faults = late ? sourceFaults(lab, random) : early;
    const [name, play] = faults[Math.floor(random() * faults.length)]!;
    const ms = Math.round(500 + random() ** 2 * 30_000);
    log(
      `${Math.round(elapsed())} s, fault ${count}: ${name} (${(ms / 1000).toFixed(1)} s); ${show(holdings(lab.gateway.pid))}`,
    );
    await play(ms);
    await last(1_000 + random() * 9_000);
    consumers.check();
  }
  await consumers.end();
  consumers.check();
  const read = lab.seen.reduce((sum, { bytes }) => sum + bytes, 0);
  const listings = lab.seen.reduce((sum, { loops, entriesMax }) => sum + (entriesMax < 0 ? 0 : loops), 0);
  const longest = Math.max(...lab.seen.map(({ longestMs }) => longestMs));
  log(
    `${Math.round(read / MIB)} MiB read and ${listings} listings, all right; longest pause ${Math.round(longest)} ms`,
  );
  if (before) log(`before: ${show(before)}`);
  await settled(lab, before ?? holdings(lab.gateway.pid), log);
}
