/** No fault: the baseline for comparison. */
import { prompt, unharmed, type Scenario, type Stage } from '../scenario.ts';
import { last } from '../time.ts';

const loop = 'enough';

async function nothing({ lab, pick }: Stage): Promise<void> {
  const expected = lab.fuse.spec.releases;
  const all = [
    ...[1, 2, 3].map((release) => lab.play(release, { loop })),
    lab.list('', { expected: 6, loop, pause: 100 }),
    lab.list('/__all__', { expected, loop, pause: 100 }),
    lab.list('/__all__', { expected, loop, pause: 200, drop: 1 }),
  ];
  // Some servers cache attributes for a minute.
  await last(pick(90_000, 5_000));
  lab.client.flag(loop);
  const seen = await Promise.all(all.map((one) => one.done()));
  unharmed(...seen);
  prompt(5_000, ...seen);
}

export const control: readonly Scenario[] = [{ fault: 'none', run: nothing }];
