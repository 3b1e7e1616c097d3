/** Another gateway with the same configuration takes over the address. */
import { MIB, releasePath } from '../../kit/fuse.ts';
import { rate } from '../lab.ts';
import { prompt, unharmed, type Scenario, type Stage } from '../scenario.ts';

const loop = 'enough';

async function takeOver(stage: Stage, lost: 'resets' | 'none', withinMs: number): Promise<void> {
  const { lab } = stage;
  const expected = lab.fuse.spec.releases;
  const lister = lab.list('/__all__', { expected, loop, pause: 100, drop: 1 });
  const readers = [1, 2, 3].map((release) => lab.play(release, { mark: 'middle', at: rate / 2 }));
  await Promise.all(readers.map((reader) => reader.marked('middle')));
  // A node that is lost says no farewell.
  lab.lose('all');
  await lab.gateway.kill();
  await lab.serve();
  lab.lose(lost);
  const newcomer = lab.read(releasePath(9, 'video.mkv'), { limit: 8 * MIB });
  const seen = await Promise.all([...readers, newcomer].map((reader) => reader.done(withinMs + 60_000)));
  lab.client.flag(loop);
  seen.push(await lister.done(withinMs));
  unharmed(...seen);
  prompt(withinMs, ...seen);
}

export const failover: readonly Scenario[] = [
  {
    fault: 'failover to a second gateway, connections reset',
    slice: true,
    run: (stage) => takeOver(stage, 'none', 30_000),
  },
  {
    fault: 'failover to a second gateway, old packets just lost',
    run: (stage) => takeOver(stage, 'resets', 240_000),
  },
];
