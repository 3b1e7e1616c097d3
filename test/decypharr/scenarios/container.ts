/** The container stops and starts: SIGTERM to `holdfast run`, then a new one with the same configuration. */
import { expect, it } from 'vitest';
import { film, pathOf } from '../library.ts';
import { Place } from '../place.ts';
import { addRow } from '../report.ts';
import { sizes } from '../settings.ts';
import { isWhole, mountInGuest, startStream, verdict, type Streamed } from '../streams.ts';

/** Without Samba's client, which does not reconnect. */
const clients = ['kernel NFS', 'kernel cifs', 'libnfs'] as const;
const MOMENT = 0.4;

async function stopAndStart(): Promise<void> {
  const size = sizes.streamBytes;
  const perRound = clients.length * sizes.streams;
  const releases = Array.from({ length: perRound * sizes.rounds }, (_, i) => film(i, size));
  await using place = await Place.start({ releases, kernel: true, rate: 30e6 });
  await place.serve();
  await mountInGuest(place.client!);
  const all: Streamed[] = [];
  for (let round = 0; round < sizes.rounds; round++) {
    const streams = Array.from({ length: perRound }, (_, i) => {
      const path = pathOf(releases[round * perRound + i]!);
      return startStream(place, { client: clients[i % clients.length]!, path, size, mark: size * MOMENT });
    });
    await Promise.all(streams.map(({ underWay }) => underWay));
    await place.stop();
    await place.restartServing();
    all.push(...(await Promise.all(streams.map(({ done }) => done))));
  }
  const bad = all.filter((one) => !isWhole(one)).map(verdict);
  const pause = Math.max(...all.map(({ longestMs }) => longestMs)) / 1000;
  const whole = `${String(all.length - bad.length)} of ${String(all.length)} whole`;
  addRow(
    'the container stops and starts',
    'hanwen',
    [`${whole}, longest pause ${pause.toFixed(1)} s`, ...bad].join('; '),
  );
  expect(bad, place.logs()).toEqual([]);
}

export function containerScenarios(): void {
  it('container', stopAndStart);
}
