/** Many releases, and releases that come and go. */
import { readdir } from 'node:fs/promises';
import { expect, it } from 'vitest';
import type { Seen } from '../../faults/consumer.ts';
import { ALL, film, season, type Release } from '../library.ts';
import { Place, ports } from '../place.ts';
import { addRow } from '../report.ts';
import { LOOPBACK } from '../sandbox.ts';
import { sizes } from '../settings.ts';
import { mountInGuest, MOUNTS } from '../streams.ts';
import { until } from '../until.ts';

/** Ms. At its first start Decypharr requests each release once, about 80 per second. */
const FIRST_START_MS = 600_000;
const FILE = 1_400_000_000;

/** 28,000 files in 10,000 releases: films, and seasons of ten episodes. */
function manyReleases(count: number): Release[] {
  return Array.from({ length: count }, (_, i) => (i % 5 === 0 ? season(i, 10, FILE) : film(i, FILE)));
}

/** The names in a folder of the tree, as user-space clients list it. */
async function listed(place: Place, client: 'libnfs' | 'smbclient', folder: string): Promise<string[]> {
  if (client === 'libnfs') {
    const query = `version=3&nfsport=${String(ports.nfs)}&mountport=${String(ports.nfs)}`;
    const { code, stdout, text } = await place.sandbox.run('nfs-ls', [
      `nfs://${LOOPBACK}/dfs${folder}?${query}`,
    ]);
    if (code !== 0) throw new Error(`nfs-ls ${folder}: ${text}`);
    // Mode, links, user, group, size and name.
    return names(stdout, /^[-d]\S+(?: +\S+){4} +(.+)$/gm);
  }
  const flags = ['--configfile=/dev/null', '--no-pass', '--debug-stdout', `--port=${String(ports.smb)}`];
  const command = `cd "${folder.slice(1).replaceAll('/', '\\')}"; ls`;
  const { code, stdout, text } = await place.sandbox.run('smbclient', [
    ...flags,
    ...[`//${LOOPBACK}/dfs`, '-c', command],
  ]);
  if (code !== 0) throw new Error(`smbclient ${folder}: ${text}`);
  return names(stdout, /^ {2}(\S.*?) +[A-Z]+ +\d+ {2}\w{3} \w{3} /gm);
}

const names = (text: string, line: RegExp) =>
  [...text.matchAll(line)]
    .map((match) => match[1]!)
    .filter((name) => name !== '.' && name !== '..')
    .toSorted();

const timed = async <T>(work: () => Promise<T>): Promise<[T, string]> => {
  const begun = performance.now();
  const result = await work();
  return [result, `${((performance.now() - begun) / 1000).toFixed(1)} s`];
};

/** How many mounts of the tree the gateway has seen. */
const mountsSeen = ({ gateway }: Place) =>
  Math.max(0, ...gateway.log.map((line) => Number(line['epoch'] ?? 0)));

async function bigLibrary(): Promise<void> {
  const releases = manyReleases(sizes.releases);
  const expected = releases.map(({ name }) => name).toSorted();
  await using place = await Place.start({ releases, kernel: true });
  const begun = performance.now();
  await place.restartServing();
  await place.whenListed(FIRST_START_MS);
  const known = ((performance.now() - begun) / 1000).toFixed(0);
  const scenario = `${String(releases.length)} releases`;
  for (const client of ['libnfs', 'smbclient'] as const) {
    const [seen, took] = await timed(() => listed(place, client, ALL));
    addRow(scenario, client, `${String(seen.length)} listed, ${took}; known to Decypharr after ${known} s`);
    expect(seen, client).toEqual(expected);
  }
  await mountInGuest(place.client!);
  for (const [client, mountpoint] of Object.entries(MOUNTS)) {
    const list = `/host/consumer list '${mountpoint}${ALL}' expected=${String(releases.length)}`;
    const [first, took] = await timed(
      async () => JSON.parse(await place.client!.output(list, 120_000)) as Seen,
    );
    const flag = `enough-${mountpoint.slice(5)}`;
    // Listings during a restart of Decypharr must not be partial.
    const job = place.client!.spawn(`${list} loop='${flag}' pause=100 mark=once drop=1`);
    await job.marked('once');
    const epoch = mountsSeen(place);
    await place.daemon.restartFromPage();
    await place.gateway.whenLogged(
      (line) => Number(line['epoch']) > epoch && line['state'] === 'live',
      60_000,
    );
    await place.whenListed();
    place.client!.flag(flag);
    const { stdout } = await job.result;
    const during = JSON.parse(stdout) as Seen;
    const errors = [...first.errors, ...during.errors].map(
      ({ call, error, at }) => `${call} ${error} at ${String(at)}`,
    );
    const fewest = `fewest ${String(during.entriesMin)} of ${String(during.loops)} listings while it restarts`;
    addRow(scenario, client, [`${String(first.entriesMax)} listed, ${took}`, fewest, ...errors].join('; '));
    expect(errors, client).toEqual([]);
    expect(during.entriesMin, client).toBe(releases.length);
  }
}

/** A release is added at the provider, and removed again. */
async function changes(): Promise<void> {
  const before = Array.from({ length: 20 }, (_, i) => film(i, FILE));
  const added = film(99, FILE);
  await using place = await Place.start({ releases: before });
  await place.serve();
  for (const client of ['libnfs', 'smbclient'] as const)
    expect(await listed(place, client, ALL)).toHaveLength(before.length);
  for (const [what, releases] of [
    ['added', [...before, added]],
    ['removed', before],
  ] as const) {
    place.provider.releases = releases;
    const expected = releases.map(({ name }) => name).toSorted();
    // Decypharr polls the provider every 15 s.
    await until('Decypharr knows', 60_000, 100, async () => {
      const seen = await readdir(place.daemon.inside(ALL));
      return seen.length === expected.length;
    });
    const known = performance.now();
    const seconds = await Promise.all(
      (['libnfs', 'smbclient'] as const).map(async (client) => {
        await until(`${client} sees what was ${what}`, 30_000, 100, async () => {
          const seen = await listed(place, client, ALL);
          return seen.join() === expected.join();
        });
        return `${client} ${((performance.now() - known) / 1000).toFixed(1)} s`;
      }),
    );
    addRow(`a release is ${what}`, 'hanwen', `seen after Decypharr by ${seconds.join(', ')}`);
  }
}

export function libraryScenarios(): void {
  it('big library', bigLibrary);
  it('changes', changes);
}
