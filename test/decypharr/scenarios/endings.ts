/** The daemon ends in each possible way while all clients stream. */
import { expect, it } from 'vitest';
import { film, pathOf } from '../library.ts';
import { Place } from '../place.ts';
import { addRow } from '../report.ts';
import { sizes, wantedBackends, type Backend } from '../settings.ts';
import { isWhole, mountInGuest, networkClients, startStream, verdict, type Streamed } from '../streams.ts';

const endings = ['TERM', 'KILL', 'page'] as const;
type Ending = (typeof endings)[number];
const RATE = 30e6;
/** The position in the file, as a fraction, at which the daemon ends in each round. */
const moments = [0.2, 0.45, 0.7];
const CLIENTS = (process.env['DECYPHARR_CLIENTS'] ?? networkClients.join()).split(',');

async function end({ daemon }: Place, ending: Ending): Promise<void> {
  if (ending === 'page') await daemon.restartFromPage();
  else daemon.signal(ending === 'TERM' ? 'SIGTERM' : 'SIGKILL');
}

/** Ends the daemon once while all streams run. Each round uses new films, so that none of their bytes are on the disk. */
async function round(place: Place, ending: Ending, index: number): Promise<Streamed[]> {
  const size = sizes.streamBytes;
  const clients = networkClients.filter((client) => CLIENTS.includes(client));
  const perRound = clients.length * sizes.streams;
  const streams = Array.from({ length: perRound }, (_, i) => {
    const path = pathOf(film(index * perRound + i, size));
    const mark = size * moments[index % moments.length]!;
    return startStream(place, { client: clients[i % clients.length]!, path, size, mark });
  });
  await Promise.all(streams.map(({ underWay }) => underWay));
  await end(place, ending);
  const results = await Promise.all(streams.map(({ done }) => done));
  return await Promise.all(results.map((one) => confirmed(place, one, size)));
}

/** Compares a wrong stream with a local reader's: if both are wrong, the daemon is the cause. */
async function confirmed(place: Place, one: Streamed, size: number): Promise<Streamed> {
  if (isWhole(one)) return one;
  await place.whenListed();
  const local = await startStream(place, { client: 'local', path: one.path, size, mark: 0 }).done;
  const own = isWhole(local) ? 'a local reader has it whole' : `a local reader as well: ${verdict(local)}`;
  return { ...one, error: [one.error, own].filter(Boolean).join('; ') };
}

/** The kernel client has lost its network, so the round has no result. */
class NetworkLost extends Error {}

async function rounds(backend: Backend, ending: Ending): Promise<Streamed[]> {
  const perRound = CLIENTS.length * sizes.streams;
  const releases = Array.from({ length: perRound * sizes.rounds }, (_, i) => film(i, sizes.streamBytes));
  await using place = await Place.start({ releases, backend, kernel: CLIENTS.some(isKernels), rate: RATE });
  await place.serve();
  if (place.client) await mountInGuest(place.client);
  const all: Streamed[] = [];
  for (let index = 0; index < sizes.rounds; index++) {
    const results = await round(place, ending, index);
    const isSuspect = results.some((one) => isKernels(one.client) && !isWhole(one));
    if (isSuspect && !(await place.client!.hasNetwork())) throw new NetworkLost();
    all.push(...results);
  }
  const bad = all.filter((one) => !isWhole(one));
  if (bad.length > 0) console.error(place.logs());
  return all;
}

async function play(backend: Backend, ending: Ending): Promise<void> {
  const all = await rounds(backend, ending).catch((error: unknown) => {
    if (!(error instanceof NetworkLost)) throw error;
    addRow(`ends by ${ending}`, backend, 'the guest lost its network: played again');
    return rounds(backend, ending);
  });
  const bad = all.filter((one) => !isWhole(one)).map(verdict);
  const pause = Math.max(...all.map(({ longestMs }) => longestMs));
  const whole = `${String(all.length - bad.length)} of ${String(all.length)} whole`;
  addRow(
    `ends by ${ending}`,
    backend,
    [`${whole}, longest pause ${(pause / 1000).toFixed(1)} s`, ...bad].join('; '),
  );
  expect(bad).toEqual([]);
}

const isKernels = (client: string) => client.startsWith('kernel');

export function endingScenarios(): void {
  for (const backend of wantedBackends())
    for (const ending of endings) it(`ending ${ending} ${backend}`, () => play(backend, ending));
}
