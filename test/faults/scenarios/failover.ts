/** Another gateway with the same configuration takes over the address. */
import { MIB, releasePath } from '../../kit/fuse.ts';
import type { Seen } from '../consumer.ts';
import { rate } from '../lab.ts';
import { prompt, unharmedByLoss, type Scenario, type Stage } from '../scenario.ts';

const loop = 'enough';
/** Ms until a reader retries after an error. */
const retry = 500;

async function takeOver(stage: Stage, lost: 'resets' | 'none', withinMs: number): Promise<void> {
  const { lab } = stage;
  const expected = lab.fuse.spec.releases;
  const lister = lab.list('/__all__', { expected, loop, pause: 100, drop: 1 });
  const readers = [1, 2, 3].map((release) => lab.play(release, { mark: 'middle', at: rate / 2, retry }));
  await Promise.all(readers.map((reader) => reader.marked('middle')));
  // A lost node sends no TCP resets.
  lab.lose('all');
  await lab.gateway.kill();
  await lab.serve();
  lab.lose(lost);
  const newcomer = lab.read(releasePath(9, 'video.mkv'), { limit: 8 * MIB });
  const seen = await Promise.all([...readers, newcomer].map((reader) => reader.done(withinMs + 60_000)));
  lab.client.flag(loop);
  seen.push(await lister.done(withinMs));
  unharmedByLoss(stage, ...seen);
  prompt(withinMs, ...seen);
}

/** Upgrades: each process passes its sockets to the next while clients read, list, connect and disconnect. */
async function successors(stage: Stage): Promise<void> {
  const { lab } = stage;
  const expected = lab.fuse.spec.releases;
  const listers = [
    lab.list('/__all__', { expected, loop, pause: 50 }),
    lab.list('/__all__', { expected, loop, pause: 100, drop: 1 }),
  ];
  const looping = [1, 2, 3].map((release) => lab.play(release, { loop, mark: 'middle', at: rate / 2 }));
  await Promise.all(looping.map((reader) => reader.marked('middle')));
  const newcomers: Seen[] = [];
  for (let generation = 1; generation <= stage.pick(5, 2); generation++) {
    const newcomer = lab.play(10 + generation, { rate: 4 * rate });
    await lab.takeOver();
    newcomers.push(await newcomer.done());
  }
  lab.client.flag(loop);
  const seen = await Promise.all([...looping, ...listers].map((one) => one.done()));
  // Eight streams cannot all be stopped at one moment: some have a READ in flight when their connection ends.
  unharmedByLoss(stage, ...seen, ...newcomers);
  // NFS clients wait before they connect again, and longer each time within a few seconds: up to 6 s here.
  prompt(10_000, ...seen, ...newcomers);
}

export const failover: readonly Scenario[] = [
  {
    fault: 'takeover by a successor under load',
    onlyHoldfast: 'no successor can be given the sockets',
    run: successors,
  },
  {
    fault: 'failover to a second gateway, connections reset',
    slice: 'every kernel',
    run: (stage) => takeOver(stage, 'none', 30_000),
  },
  {
    fault: 'failover to a second gateway, old packets just lost',
    run: (stage) => takeOver(stage, 'resets', 240_000),
  },
];
