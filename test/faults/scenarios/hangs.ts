/** The FUSE daemon does not answer requests for one file, one name, one folder, or the whole mount. */
import { contentSeed, MIB, releasePath, type FuseOperation } from '../../kit/fuse.ts';
import { GUEST_ADDRESS } from '../../kit/uml.ts';
import type { Consumer } from '../consumer.ts';
import { video, type Lab } from '../lab.ts';
import { prompt, unharmed, type Scenario, type Stage } from '../scenario.ts';
import { last } from '../time.ts';

/** The longest delay allowed for unaffected clients, in ms. */
const unfelt = 2_000;
/** The same if their connection ends: some clients reconnect after 3 s, and answers are held for up to 2 s. */
const reconnecting = 10_000;
const loop = 'enough';

/** Starts players and listers that do not use the hung path. */
async function bystanders(lab: Lab) {
  const expected = lab.fuse.spec.releases;
  const others = [
    lab.play(11, { loop, mark: 'going', at: 1 }),
    lab.list('/__all__', { expected, loop, pause: 100, mark: 'going' }),
    lab.list(releasePath(12), { expected: 2, loop, pause: 50, drop: 1, mark: 'going' }),
  ];
  await Promise.all(others.map((one) => one.marked('going')));
  return async () => {
    lab.client.flag(loop);
    return await Promise.all(others.map((one) => one.done()));
  };
}

/** Checks that the log names the hung path and the waiting client. */
async function toldOf(lab: Lab, path: string): Promise<void> {
  const told = await lab.holdfast?.whenLogged(({ msg }) => msg === 'missed its deadline: in quarantine');
  if (!told || (told['path'] === path && (told['clients'] as string[]).includes(GUEST_ADDRESS))) return;
  throw new Error(`the log does not say who waits for what: ${JSON.stringify(told)}`);
}

async function oneFile(stage: Stage): Promise<void> {
  const { lab, note } = stage;
  const path = releasePath(5, video.name);
  const end = await bystanders(lab);
  await lab.fuse.hang(path, 'read');
  const victim = lab.play(5, { retry: 2_000, rate: 4 * MIB });
  await lab.fuse.whenHeld();
  // In full: longer than the deadline of a read, which is longer than daemons need to give up a download.
  await last(stage.pick(170_000, 8_000));
  await lab.fuse.heal(path);
  // After the deadline the file is in quarantine for its cool-down; then one read tries again.
  const seen = await victim.done(180_000);
  const others = await end();
  unharmed(...others);
  prompt(unfelt, ...others);
  const wrong = seen.errors.filter(({ call, error }) => call !== 'read' || error !== 'EIO');
  if (wrong.length > 0 || stage.extent === 'slice') unharmed(seen);
  else await toldOf(lab, path);
  if (seen.wrongAt >= 0 || seen.bytes < video.size)
    throw new Error('the healed file was not read to its end');
  const first = seen.errors[0];
  note(
    first
      ? `the file's own reader: EIO after ${Math.round(first.afterMs / 1000)} s, then all of it`
      : 'its reader waited',
  );
  note(`the others' longest pause ${Math.round(Math.max(...others.map(({ longestMs }) => longestMs)))} ms`);
}

/** While it stops, the gateway waits for hung SMB requests and still serves all others. */
async function drainedMeanwhile({ lab }: Stage): Promise<void> {
  const path = releasePath(5, video.name);
  const end = await bystanders(lab);
  await lab.fuse.hang(path, 'read');
  const victim = lab.play(5);
  await lab.fuse.whenHeld();
  const stopped = lab.gateway.stop(40_000);
  await last(15_000);
  await lab.fuse.heal(path);
  const code = await stopped;
  await lab.serve();
  if (code !== 0) throw new Error(`the gateway ended with ${String(code)}`);
  const seen = [await victim.done(180_000), ...(await end())];
  unharmed(...seen);
  prompt(reconnecting, ...seen.slice(1));
}

/** One operation hangs nearly until its deadline. Other requests must not be delayed. */
async function oneOperation(
  stage: Stage,
  path: string,
  operation: FuseOperation,
  want: (lab: Lab) => Consumer,
): Promise<void> {
  const { lab, note } = stage;
  const end = await bystanders(lab);
  await lab.fuse.hang(path, operation);
  const victim = want(lab);
  await lab.fuse.whenHeld();
  const stranger = lab.play(6, { rate: 16 * MIB });
  unharmed(await stranger.done());
  await last(stage.pick(50_000, 6_000));
  await lab.fuse.heal(path);
  const seen = await victim.done(120_000);
  const others = await end();
  unharmed(seen, ...others);
  prompt(unfelt, ...others);
  note(`the others' longest pause ${Math.round(Math.max(...others.map(({ longestMs }) => longestMs)))} ms`);
}

const reader = (lab: Lab) => lab.play(5, { retry: 2_000, rate: 4 * MIB });
const oneLookup = (stage: Stage) => oneOperation(stage, releasePath(5, video.name), 'lookup', reader);
const oneOpen = (stage: Stage) => oneOperation(stage, releasePath(5, video.name), 'open', reader);
const oneListing = (stage: Stage) =>
  oneOperation(stage, releasePath(5), 'list', (lab) => lab.list(releasePath(5), { expected: 2 }));

async function wholeMount(stage: Stage): Promise<void> {
  const { lab, note } = stage;
  const ms = stage.pick(300_000, 20_000);
  const expected = lab.fuse.spec.releases;
  const lister = lab.list('/__all__', { expected, loop, pause: 200, mark: 'listed' });
  const cold = lab.list('/__all__', { expected, loop, pause: 500, drop: 1 });
  const reader = lab.play(1, { mark: 'middle', at: 4 * MIB });
  await Promise.all([lister.marked('listed'), reader.marked('middle')]);
  await lab.fuse.hang('/');
  const stranger = lab.play(2, { rate: 16 * MIB });
  await last(ms);
  await lab.fuse.heal('/');
  const readers = await Promise.all([reader.done(60_000), stranger.done(60_000)]);
  lab.client.flag(loop);
  const listers = await Promise.all([lister.done(), cold.done()]);
  unharmed(...readers, ...listers);
  prompt(ms + 10_000, ...readers);
  note(
    `listings went on, the longest took ${Math.round(Math.max(...listers.map(({ longestMs }) => longestMs)))} ms`,
  );
  prompt(5_000, ...listers);
}

/** Sixty readers on two hung files of one release; then another release is read and listed. */
async function sixtyReaders(stage: Stage): Promise<void> {
  const { lab, note } = stage;
  const files = ['one.mkv', 'two.mkv'].map((name) => releasePath(7, name));
  for (const path of files) await lab.fuse.add({ type: 'file', path, size: video.size });
  await lab.fuse.hang(files[0], 'read');
  await lab.fuse.hang(files[1], 'read');
  const stuck = files.flatMap((path) =>
    Array.from({ length: 30 }, (_, i) => lab.read(path, { from: i * MIB, limit: MIB })),
  );
  // Each hung file holds one thread of the gateway.
  await lab.fuse.whenHeld(2);
  // Give the other readers time to send their requests.
  await last(stage.pick(10_000, 4_000));
  const reader = await lab.read(releasePath(8, video.name), { limit: 2 * MIB }).done(30_000);
  const lister = await lab.list(releasePath(8), { expected: 2 }).done(30_000);
  const folder = await lab.list('/torrents', { expected: lab.fuse.spec.releases / 2 }).done(30_000);
  note(
    `meanwhile 2 MiB of another release in ${Math.round(reader.tookMs)} ms, its listing in ${Math.round(lister.tookMs)} ms`,
  );
  for (const path of files) await lab.fuse.heal(path);
  const healed = await Promise.all(stuck.map((one) => one.done(60_000)));
  unharmed(reader, lister, folder, ...healed);
  for (const { tookMs } of [reader, lister, folder]) {
    if (tookMs > unfelt) throw new Error(`another release took ${tookMs} ms while sixty readers were stuck`);
  }
}

/** The first byte of a file comes late, the rest at once. */
async function firstByteLate({ lab, note }: Stage): Promise<void> {
  const path = releasePath(9, video.name);
  await lab.fuse.hang(path, 'read');
  const reader = lab.read(path, { seed: contentSeed(path), size: video.size });
  await lab.fuse.whenHeld();
  await last(15_000);
  await lab.fuse.heal(path);
  const seen = await reader.done();
  unharmed(seen);
  note(`first byte after ${(seen.firstMs / 1000).toFixed(1)} s`);
}

/** A soft mount gives up after some 6 s of silence. */
const soft = { nfs: 'soft,timeo=10,retrans=2,acdirmin=1,acdirmax=5' } as const;

async function softOutage(stage: Stage): Promise<void> {
  const { lab } = stage;
  const ms = stage.pick(60_000, 12_000);
  const expected = lab.fuse.spec.releases;
  const lister = lab.list('/__all__', { expected, loop, pause: 200, drop: 1, mark: 'listed' });
  const reader = lab.play(1, { mark: 'middle', at: 4 * MIB });
  await Promise.all([lister.marked('listed'), reader.marked('middle')]);
  await lab.fuse.kill();
  const stranger = lab.play(2, { rate: 16 * MIB });
  await last(ms);
  await lab.fuse.mount();
  const seen = await Promise.all([reader.done(60_000), stranger.done(60_000)]);
  lab.client.flag(loop);
  seen.push(await lister.done());
  unharmed(...seen);
  prompt(ms + 10_000, ...seen);
}

/** Each read takes longer than the client's request timeout: a late result must answer the repeated request. */
const slowFile =
  (ms: number) =>
  async ({ lab, note }: Stage): Promise<void> => {
    const path = releasePath(9, video.name);
    await lab.fuse.setLatency({ read: ms }, path);
    const seen = await lab
      .read(path, { seed: contentSeed(path), size: video.size, limit: MIB })
      .done(120_000);
    unharmed(seen);
    note(`the first MiB in ${(seen.tookMs / 1000).toFixed(1)} s`);
  };

export const hangs: readonly Scenario[] = [
  { fault: 'reads of one file hang', slice: 'oldest kernel', run: oneFile },
  // SMB only: the gateway does not wait for hung NFS calls, as clients repeat them at the next gateway.
  { fault: 'gateway drained while reads of one file hang', protocols: ['smb'], run: drainedMeanwhile },
  { fault: 'the lookup of one file hangs', run: oneLookup },
  { fault: 'the open of one file hangs', run: oneOpen },
  { fault: 'the listing of one release hangs', run: oneListing },
  { fault: 'the whole mount hangs', slice: 'oldest kernel', run: wholeMount },
  { fault: 'sixty readers hang on two files of one release', slice: 'every kernel', run: sixtyReaders },
  {
    fault: 'soft,timeo=10,retrans=2: the FUSE daemon is away',
    protocols: ['nfs'],
    slice: 'oldest kernel',
    lab: { mountOptions: soft },
    run: softOutage,
  },
  {
    fault: 'soft,timeo=10,retrans=2: the first byte takes 15 s',
    protocols: ['nfs'],
    lab: { mountOptions: soft },
    run: firstByteLate,
  },
  {
    fault: 'soft,timeo=10,retrans=2: each read of a file takes 1.5 s',
    protocols: ['nfs'],
    slice: 'oldest kernel',
    lab: { mountOptions: soft },
    run: slowFile(1_500),
  },
  {
    fault: 'soft,timeo=10,retrans=2: each read of a file takes 8 s',
    protocols: ['nfs'],
    lab: { mountOptions: soft },
    run: slowFile(8_000),
  },
];
