/** Restarts of the gateway, of the FUSE daemon, or of both. */
import { execFileSync } from 'node:child_process';
import { releaseName } from '../../kit/fuse.ts';
import type { Seen } from '../consumer.ts';
import { rate, type Lab } from '../lab.ts';
import { prompt, unharmed, unharmedByKill, type Scenario, type Stage } from '../scenario.ts';
import { last } from '../time.ts';

/** Ms. A client retries 5 s after JUKEBOX or RETRY, and may take 3 s to reconnect. */
const slack = 10_000;
/** Ms until a consumer retries after an error. Whether errors are allowed is checked at the end. */
const retry = 500;

/** Starts three readers and waits until they are in the middle of their files. */
async function readersUnderWay(lab: Lab) {
  const readers = [1, 2, 3].map((release) => lab.play(release, { mark: 'middle', at: rate / 2, retry }));
  await Promise.all(readers.map((reader) => reader.marked('middle')));
  return readers;
}

async function killGateway(stage: Stage): Promise<void> {
  const { lab } = stage;
  const readers = await readersUnderWay(lab);
  await lab.gateway.kill();
  await lab.serve();
  const seen = await Promise.all(readers.map((reader) => reader.done()));
  unharmedByKill(stage, ...seen);
  prompt(slack, ...seen);
}

async function drainGateway({ lab }: Stage): Promise<void> {
  const readers = await readersUnderWay(lab);
  const code = await lab.gateway.stop(30_000);
  await lab.serve();
  if (code !== 0) throw new Error(`the gateway ended with ${String(code)}`);
  const seen = await Promise.all(readers.map((reader) => reader.done()));
  unharmed(...seen);
  prompt(slack, ...seen);
}

async function killFuse({ lab }: Stage): Promise<void> {
  const readers = await readersUnderWay(lab);
  await lab.fuse.kill();
  await lab.fuse.mount();
  const seen = await Promise.all(readers.map((reader) => reader.done()));
  unharmed(...seen);
  prompt(slack, ...seen);
}

/** Runs readers, listers and new clients during `outage`, after which the source is back. */
async function liveThrough(
  { lab }: Stage,
  outageMs: number,
  outage: () => Promise<void>,
  check: (...seen: Seen[]) => void = unharmed,
): Promise<void> {
  const loop = 'enough';
  const expected = lab.fuse.spec.releases;
  const listers = [
    lab.list('/__all__', { expected, loop, pause: 100, mark: 'listed', retry }),
    lab.list('/__all__', { expected, loop, pause: 200, drop: 1, retry }),
    lab.list('', { expected: 6, loop, pause: 100, retry }),
  ];
  await listers[0]!.marked('listed');
  const readers = await readersUnderWay(lab);
  const looping = lab.play(4, { loop, mark: 'middle', at: rate / 2, retry });
  await looping.marked('middle');
  await outage();
  const newcomer = lab.play(30, { rate: 4 * rate, retry });
  const seen = await Promise.all([...readers, newcomer].map((reader) => reader.done(slack + 60_000)));
  lab.client.flag(loop);
  seen.push(...(await Promise.all([...listers, looping].map((one) => one.done(slack + 60_000)))));
  check(...seen);
  prompt(outageMs + slack, ...seen);
}

async function unmounted(stage: Stage): Promise<void> {
  const { lab, note } = stage;
  const ms = stage.pick(60_000, 8_000);
  await liveThrough(stage, ms, async () => {
    await lab.unmountFuse();
    // This release is in no cache, so its reader must wait.
    const stranger = lab.play(20, { rate: 4 * rate });
    await last(ms);
    await lab.fuse.mount();
    const seen = await stranger.done(slack + 60_000);
    unharmed(seen);
    note(`a reader that came meanwhile had its first byte after ${(seen.firstMs / 1000).toFixed(1)} s`);
  });
}

/** The old daemon serves open files of the detached mount while a new one serves the path. */
async function unmountedLazily({ lab }: Stage): Promise<void> {
  const readers = await readersUnderWay(lab);
  await lab.fuse.unmount({ lazy: true });
  await lab.fuse.mount();
  const seen = await Promise.all(readers.map((reader) => reader.done()));
  unharmed(...seen);
  prompt(slack, ...seen);
}

async function somethingElse(stage: Stage): Promise<void> {
  const { lab } = stage;
  const { mountpoint } = lab.fuse;
  const ms = stage.pick(20_000, 4_000);
  await liveThrough(stage, ms, async () => {
    await lab.unmountFuse();
    execFileSync('mount', ['-t', 'tmpfs', 'something-else', mountpoint]);
    await last(ms);
    // Lazily, as a server may hold the mount open.
    execFileSync('umount', ['-l', mountpoint]);
    await lab.fuse.mount();
  });
}

async function bothTogether(stage: Stage): Promise<void> {
  const { lab } = stage;
  const outage = async () => {
    await Promise.all([lab.gateway.kill(), lab.fuse.kill()]);
    await lab.fuse.mount();
    await lab.serve();
  };
  await liveThrough(stage, 0, outage, (...seen) => unharmedByKill(stage, ...seen));
}

async function mountLate(stage: Stage): Promise<void> {
  const { lab } = stage;
  const ms = stage.pick(60_000, 8_000);
  const outage = async () => {
    await Promise.all([lab.gateway.kill(), lab.fuse.kill()]);
    await lab.fuse.detach();
    await lab.serve();
    await last(ms);
    await lab.fuse.mount();
  };
  await liveThrough(stage, ms, outage, (...seen) => unharmedByKill(stage, ...seen));
}

/** A listing is in the middle of its folder while `restart` runs. */
async function midListing(
  { lab, protocol }: Stage,
  restart: () => Promise<void>,
  mayFail = false,
): Promise<void> {
  const { releases } = lab.fuse.spec;
  const at = Math.floor(releases / 4);
  const lister = lab.names('/__all__', { chunk: 4096, mark: 'middle', at, wait: 'again' });
  await lister.marked('middle', 120_000);
  await restart();
  lab.client.flag('again');
  const seen = await lister.done(120_000);
  if (mayFail && protocol === 'smb' && seen.errorCount > 0) return;
  unharmed(seen);
  const wanted = Array.from({ length: releases }, (_, i) => releaseName(i)).sort();
  const lost = wanted.filter((name, i) => seen.names[i] !== name);
  if (lost.length > 0 || seen.names.length !== releases) {
    throw new Error(
      `${seen.names.length} of ${releases} entries; the first that differs: ${String(lost[0])}`,
    );
  }
}

/** Repeated listings of many pages while the gateway is drained and restarted. */
async function listersUnderDrains({ lab, pick }: Stage): Promise<void> {
  const loop = 'enough';
  const expected = lab.fuse.spec.releases;
  const listers = [0, 150, 400].map((pause) =>
    lab.list('/__all__', { expected, chunk: 4096, drop: 1, pause, loop, mark: 'listed' }),
  );
  await Promise.all(listers.map((lister) => lister.marked('listed', 120_000)));
  for (let round = 0; round < pick(5, 2); round++) {
    const code = await lab.gateway.stop(30_000);
    if (code !== 0) throw new Error(`the gateway ended with ${String(code)}`);
    await lab.serve();
    await last(1_000 + 300 * round);
  }
  lab.client.flag(loop);
  unharmed(...(await Promise.all(listers.map((lister) => lister.done(120_000)))));
}

const small = { files: [{ name: 'a', size: 10 }], latency: {} };

export const restarts: readonly Scenario[] = [
  { fault: 'gateway killed in the middle of reads, and started', slice: 'every kernel', run: killGateway },
  { fault: 'gateway drained in the middle of reads, and started', slice: 'every kernel', run: drainGateway },
  { fault: 'FUSE daemon killed in the middle of reads, and mounted', slice: 'every kernel', run: killFuse },
  { fault: 'clean unmount under readers and listers', slice: 'oldest kernel', run: unmounted },
  { fault: 'lazy unmount while files are read, and mounted anew', run: unmountedLazily },
  { fault: 'another filesystem in its place', run: somethingElse },
  { fault: 'both killed and started', run: bothTogether },
  { fault: 'both killed, gateway started long before the mount', run: mountLate },
  {
    fault: 'gateway drained again and again under listers of 2,000',
    slice: 'oldest kernel',
    lab: { tree: { releases: 2_000, ...small } },
    run: listersUnderDrains,
  },
  {
    fault: 'gateway killed in the middle of a listing of 10,000',
    lab: { tree: { releases: 10_000, ...small } },
    run: (stage) =>
      midListing(
        stage,
        async () => {
          await stage.lab.gateway.kill();
          await stage.lab.serve();
        },
        true,
      ),
  },
  {
    fault: 'gateway drained in the middle of a listing of 10,000',
    slice: 'every kernel',
    lab: { tree: { releases: 10_000, ...small } },
    run: (stage) =>
      midListing(stage, () =>
        stage.lab.untilReconnected(async () => {
          await stage.lab.gateway.stop();
          await stage.lab.serve();
        }),
      ),
  },
  {
    fault: 'takeover in the middle of a listing of 10,000',
    onlyHoldfast: 'no successor can be given the sockets',
    lab: { tree: { releases: 10_000, ...small } },
    run: (stage) => midListing(stage, () => stage.lab.untilReconnected(() => stage.lab.takeOver())),
  },
  {
    fault: 'connection lost in the middle of a listing of 10,000',
    lab: { tree: { releases: 10_000, ...small } },
    run: (stage) => midListing(stage, () => stage.lab.untilReconnected(() => stage.lab.resetConnections())),
  },
  {
    fault: 'FUSE daemon killed in the middle of a listing of 10,000',
    lab: { tree: { releases: 10_000, ...small } },
    run: (stage) =>
      midListing(stage, async () => {
        await stage.lab.fuse.kill();
        await stage.lab.fuse.mount();
      }),
  },
];
