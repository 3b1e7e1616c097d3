/** One of several mounts of an export is away: whoever uses the others feels nothing of it. */
import { contentSeed, releasePath } from '../../kit/fuse.ts';
import type { Consumer } from '../consumer.ts';
import { video, type Lab } from '../lab.ts';
import { film, others, overMedia, treeAt } from '../media.ts';
import { prompt, unharmed, type Scenario, type Stage } from '../scenario.ts';
import { last } from '../time.ts';

/** What the others may feel, in ms. */
const unfelt = 2_000;
const loop = 'enough';
/** The client asks again 5 s after "come again". */
const slack = 15_000;

const expected = 4;

/** A reader and a lister of each other mount and of the plain folder, and one of the folder that holds them all. */
async function bystanders(lab: Lab, mounts: readonly string[] = others) {
  const all: Consumer[] = [
    lab.list('', { expected, loop, pause: 100, mark: 'going' }),
    lab.list('', { expected, loop, pause: 300, drop: 1, mark: 'going' }),
  ];
  for (const mount of mounts) {
    const { name, size, seed } = film;
    all.push(
      lab.read(`${mount}/${name}`, { seed, size, rate: size, loop, mark: 'going', at: 1 }),
      lab.list(mount, { expected: 1, loop, pause: 100, mark: 'going' }),
    );
  }
  await Promise.all(all.map((one) => one.marked('going')));
  return async () => {
    lab.client.flag(loop);
    const seen = await Promise.all(all.map((one) => one.done()));
    unharmed(...seen);
    prompt(unfelt, ...seen);
    return Math.round(Math.max(...seen.map(({ longestMs }) => longestMs)));
  };
}

const play = (lab: Lab, release: number, options: object = {}) => {
  const path = releasePath(release, video.name);
  return lab.read(`${treeAt}${path}`, {
    seed: contentSeed(path),
    size: video.size,
    rate: video.size / 8,
    ...options,
  });
};

const faults: Readonly<Record<string, (lab: Lab, ms: number) => Promise<void>>> = {
  killed: async ({ fuse }, ms) => {
    await fuse.kill();
    await last(ms);
    await fuse.mount();
  },
  unmounted: async (lab, ms) => {
    await lab.unmountFuse();
    await last(ms);
    await lab.fuse.mount();
  },
  hung: async ({ fuse }, ms) => {
    await fuse.hang('/');
    await last(ms);
    await fuse.heal();
  },
  restarted: async (lab) => {
    await lab.unmountFuse();
    await lab.fuse.mount();
  },
};

async function oneIsAway(stage: Stage): Promise<void> {
  const { lab, note } = stage;
  const end = await bystanders(lab);
  const victims: Consumer[] = [];
  let release = 1;
  for (const fault of Object.values(faults)) {
    const victim = play(lab, release++, { mark: 'middle', at: video.size / 4 });
    await victim.marked('middle');
    await fault(lab, stage.pick(30_000, 5_000));
    victims.push(victim);
    unharmed(await victim.done(slack + 60_000));
  }
  note(`the others' longest pause ${String(await end())} ms`);
}

const late = overMedia(['rclone']);

async function twoAreMissing({ lab, note }: Stage): Promise<void> {
  const end = await bystanders(lab, ['/squash', '/plain']);
  const patient = [
    play(lab, 1),
    lab.read(`/rclone/${film.name}`, { seed: film.seed, size: film.size }),
    lab.list('/rclone', { expected: 1 }),
  ];
  await last(10_000);
  await Promise.all([lab.fuse.mount(), late.mountLate()]);
  unharmed(...(await Promise.all(patient.map((one) => one.done(slack + 60_000)))));
  note(`the others' longest pause ${String(await end())} ms`);
}

export const mounts: readonly Scenario[] = [
  {
    fault: 'one of several mounts of an export killed, unmounted, hung, restarted',
    lab: { server: overMedia() },
    onlyHoldfast: 'serves several mounts as one export',
    run: oneIsAway,
  },
  {
    fault: 'gateway started while two of three mounts are missing',
    protocols: ['nfs'],
    lab: { server: late, tree: { mounted: false } },
    onlyHoldfast: 'waits for a mount of an export',
    run: twoAreMissing,
  },
];
