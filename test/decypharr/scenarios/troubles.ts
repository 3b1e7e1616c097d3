/** Faults of the provider: dead links, and a stalled service. */
import { setTimeout as delay } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { film, pathOf, type Release } from '../library.ts';
import { Place } from '../place.ts';
import { RangeReader, ReaderError, ways, type Way } from '../ranges.ts';
import { addRow } from '../report.ts';
import { sizes } from '../settings.ts';
import { isWhole, startStream, verdict, type Stream } from '../streams.ts';

const MIB = 1024 * 1024;
const FILES = 200;
const DEAD_EVERY = 4;
const FILM = 1_500_000_000;
const SCANNERS = 8;
const SECOND_PASS_MS = 120_000;

interface Pass {
  readonly seconds: number;
  /** Files that could be read, and those that gave an error. */
  readonly read: number;
  readonly failed: readonly string[];
}

/** Several readers read the first bytes of each file. Files that no reader has reached after `limitMs` are left out. */
async function pass(
  readers: readonly RangeReader[],
  releases: readonly Release[],
  limitMs = Infinity,
): Promise<Pass> {
  const failed: string[] = [];
  let read = 0;
  const begun = performance.now();
  const queue = [...releases];
  const work = async (reader: RangeReader) => {
    for (let next = queue.shift(); next; next = queue.shift()) {
      if (performance.now() - begun > limitMs) return;
      try {
        await reader.open(pathOf(next));
        await reader.read(0, 128 * 1024);
        read += 1;
      } catch (error) {
        if (!(error instanceof ReaderError)) throw error;
        failed.push(next.name);
      }
      await reader.close().catch(() => undefined);
    }
  };
  await Promise.all(readers.map(work));
  return { seconds: (performance.now() - begun) / 1000, read, failed };
}

const tell = ({ seconds, read, failed }: Pass) =>
  `${String(read)} read, ${String(failed.length)} failed, ${seconds.toFixed(1)} s`;

/** Scans the tree repeatedly; locally only once, as Decypharr takes 70 s for each new open of a dead file. */
async function scanned(way: Way, dead: readonly Release[], releases: readonly Release[]): Promise<Pass[]> {
  await using place = await Place.start({ releases, rate: 30e6, firstByteMs: 20 });
  for (const release of dead) for (const { link } of release.files) place.provider.dead.add(link);
  await (way === 'local' ? place.mountOnly() : place.serve());
  const readers = Array.from({ length: SCANNERS }, () => new RangeReader(place, way));
  try {
    const first = await pass(readers, releases);
    const passes = way === 'local' ? [first] : [first, await pass(readers, releases, SECOND_PASS_MS)];
    const names = new Set(dead.map(({ name }) => name));
    for (const { failed } of passes)
      expect(
        failed.filter((name) => !names.has(name)),
        `${way}\n${place.logs()}`,
      ).toEqual([]);
    return passes;
  } finally {
    await Promise.all(readers.map((reader) => reader.end()));
  }
}

/** Every fourth file's link is dead: Decypharr answers EIO after 7 s. */
async function deadLinks(): Promise<void> {
  const count = Math.min(FILES, sizes.films * 2);
  const releases = Array.from({ length: count }, (_, i) => film(i, FILM));
  const dead = releases.filter((_, i) => i % DEAD_EVERY === 0);
  let local: Pass | undefined;
  for (const way of ways) {
    const [well] = await scanned(way, [], releases);
    const [first, again] = await scanned(way, dead, releases);
    local ??= first!;
    const parts = [`without: ${tell(well!)}`, `with: ${tell(first!)}`, again ? `again: ${tell(again)}` : ''];
    addRow(`${String(dead.length)} dead links of ${String(count)}`, way, parts.filter(Boolean).join('; '));
    expect.soft(first!.failed.length, `${way}: dead files that gave an error`).toBe(dead.length);
    // The time that Decypharr itself needs to detect dead links is included on both sides.
    expect.soft(first!.seconds, `${way}: the first scan`).toBeLessThanOrEqual(1.5 * local.seconds + 1);
    if (!again) continue;
    expect.soft(again.failed.length + again.read, `${way}: files of the second scan`).toBe(count);
    expect.soft(again.seconds, `${way}: the second scan`).toBeLessThanOrEqual(1.5 * well!.seconds + 1);
  }
}

/** Decypharr refuses a file for two minutes after its link was found dead. After that a repaired file can be read. */
async function wellAgain(): Promise<void> {
  const release = film(0, FILM);
  const { link } = release.files[0]!;
  for (const way of ways) {
    await using place = await Place.start({ releases: [release] });
    place.provider.dead.add(link);
    await (way === 'local' ? place.mountOnly() : place.serve());
    await using reader = new RangeReader(place, way);
    const dead = await pass([reader], [release]);
    expect(dead.failed, `${way}: a dead link gives an error`).toHaveLength(1);
    place.provider.dead.delete(link);
    const begun = performance.now();
    while ((await pass([reader], [release])).failed.length > 0) {
      if (performance.now() - begun > 300_000)
        throw new Error(`${way}: not read within 300 s\n${place.logs()}`);
      await delay(1000);
    }
    const seconds = ((performance.now() - begun) / 1000).toFixed(0);
    addRow(
      'a dead link is well again',
      way,
      `error after ${dead.seconds.toFixed(1)} s; read ${seconds} s after`,
    );
  }
}

/** The provider stalls. Streams wait for it, and a file on Decypharr's disk can be read. */
async function stall(): Promise<void> {
  const size = sizes.streamBytes;
  const releases = [film(0, size), film(1, size), film(2, FILM), film(3, size)];
  await using place = await Place.start({ releases, rate: 30e6 });
  await place.serve();
  const cached = pathOf(releases[2]!);
  const readers = { smb: new RangeReader(place, 'smb'), nfs: new RangeReader(place, 'nfs') };
  for (const reader of Object.values(readers)) {
    await reader.open(cached);
    for (let at = 0; at < 32 * MIB; at += MIB) await reader.read(at, MIB);
  }
  // For comparison: the local reader waits and continues.
  const streamed = releases.filter((_, i) => i !== 2);
  const streams: Stream[] = (['libnfs', 'smbclient', 'local'] as const).map((client, i) =>
    startStream(place, { client, path: pathOf(streamed[i]!), size, mark: size / 3 }),
  );
  await Promise.all(streams.map(({ underWay }) => underWay));
  place.provider.stall();
  const slowest = { smb: 0, nfs: 0 };
  const end = performance.now() + sizes.stall * 1000;
  for (let i = 0; performance.now() < end; i++) {
    for (const way of ['smb', 'nfs'] as const) {
      const at = ((i * 7) % 31) * MIB + 4096;
      slowest[way] = Math.max(slowest[way], await readers[way].read(at, 256 * 1024));
    }
    await delay(500);
  }
  place.provider.resume();
  const results = await Promise.all(streams.map(({ done }) => done));
  for (const reader of Object.values(readers)) await reader.end();
  const other = `cached ranges meanwhile: SMB ${slowest.smb.toFixed(0)} ms, NFS ${slowest.nfs.toFixed(0)} ms at most`;
  addRow(
    `the provider stalls for ${String(sizes.stall)} s`,
    'hanwen',
    [...results.map(verdict), other].join('; '),
  );
  expect(results.filter((one) => !isWhole(one)).map(verdict), place.logs()).toEqual([]);
  expect(Math.max(slowest.smb, slowest.nfs), 'ms for a cached range meanwhile').toBeLessThanOrEqual(1000);
}

export function troubleScenarios(): void {
  it('dead links', deadLinks);
  it('well again', wellAgain);
  it('stall', stall);
}
