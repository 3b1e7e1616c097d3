/** Measures how fast a tree lists folders, looks up entries, opens files and reads them, with limits on time and entries. */
import { repeat, timesOf, type Throughput, type Times } from './clock.ts';
import type { Subject } from './subject.ts';

/** The most entries that are listed to find files, and the most files that are used. */
const mostEntries = 2_000;
const mostFiles = 64;
/** Bytes per read: of a stream, of the beginning of a file, and of a small read. */
const streamRead = 1024 * 1024;
const firstRead = 64 * 1024;
const smallRead = 4 * 1024;

export interface File {
  readonly path: string;
  readonly size: number;
}

export interface Report {
  readonly entries: number;
  readonly files: number;
  readonly list: Times | undefined;
  readonly look: Times | undefined;
  /** The first read (up to 64 KiB) of each file. */
  readonly firstByte: Times | undefined;
  readonly oneStream: Throughput | undefined;
  /** Total throughput of `atOnce` files that are read in parallel. */
  readonly streams: (Throughput & { readonly atOnce: number }) | undefined;
  readonly small: Times | undefined;
}

export interface MeasureOptions {
  /** Total time. A hung call can make it longer. */
  readonly seconds: number;
  /** Called before each part. */
  readonly onPart: (name: string) => void;
}

export async function measure(subject: Subject, { seconds, onPart }: MeasureOptions): Promise<Report> {
  const part = (share: number) => seconds * share * 1000;
  onPart('listing');
  const { entries, files, times } = await survey(subject, part(0.2));
  onPart('looking up names');
  let next = 0;
  const looked = await repeat(part(0.1), 1, async () => {
    const path = entries[next++];
    return path === undefined ? undefined : (await subject.look(path), 0);
  });
  const byLooks = files.length > 0 ? files : await sized(subject, entries, part(0.1));
  onPart('beginning to read files');
  let begun = 0;
  const first = await repeat(part(0.15), 1, async () => {
    const file = byLooks[begun++];
    if (file === undefined) return undefined;
    const bytes = await subject.read(file.path, 0, Math.min(firstRead, file.size));
    await subject.done(file.path);
    return bytes;
  });
  const largest = byLooks.toSorted((a, b) => b.size - a.size);
  onPart('reading one file');
  const oneStream = await stream(subject, largest.slice(0, 1), part(0.2));
  onPart('reading four files at once');
  const four = largest.slice(0, 4);
  const streams = await stream(subject, four, part(0.2));
  onPart('random reads');
  const [big] = largest;
  const small = big && (await repeat(part(0.15), 1, () => readSomewhere(subject, big)));
  if (big) await subject.done(big.path);
  return {
    entries: entries.length,
    files: byLooks.length,
    list: timesOf(times),
    look: timesOf(looked.times),
    firstByte: timesOf(first.times),
    oneStream,
    streams: streams && { ...streams, atOnce: four.length },
    small: timesOf(small?.times ?? []),
  };
}

/** Lists the tree breadth-first. */
async function survey(
  subject: Subject,
  milliseconds: number,
): Promise<{ entries: string[]; files: File[]; times: readonly number[] }> {
  const folders = [''];
  const entries: string[] = [];
  const files: File[] = [];
  const { times } = await repeat(milliseconds, 1, async () => {
    const folder = folders.shift();
    if (folder === undefined || entries.length >= mostEntries) return undefined;
    for (const { name, isFolder, size } of await subject.list(folder)) {
      const path = `${folder}/${name}`;
      entries.push(path);
      if (isFolder) folders.push(path);
      else if (size > 0 && files.length < mostFiles) files.push({ path, size });
    }
    return 0;
  });
  return { entries, files, times };
}

/** Looks up the sizes of entries, if the listing gave none. Returns the files. */
async function sized(subject: Subject, entries: readonly string[], milliseconds: number): Promise<File[]> {
  const files: File[] = [];
  let next = 0;
  await repeat(milliseconds, 4, async () => {
    const path = entries[next++];
    if (path === undefined || files.length >= mostFiles) return undefined;
    const size = await subject.look(path);
    if (size > 0) files.push({ path, size });
    return 0;
  });
  return files;
}

/** Reads the files from their beginnings, one sequential reader for each. */
async function stream(
  subject: Subject,
  files: readonly File[],
  milliseconds: number,
): Promise<Throughput | undefined> {
  if (files.length === 0) return undefined;
  const places = files.map(() => 0);
  const { bytes, seconds } = await repeat(milliseconds, files.length, async (lane) => {
    const { path, size } = files[lane]!;
    const at = places[lane]!;
    if (at >= size) return undefined;
    const got = await subject.read(path, at, Math.min(streamRead, size - at));
    places[lane] = at + got;
    return got === 0 ? undefined : got;
  });
  await Promise.all(files.map(({ path }) => subject.done(path)));
  return { bytes, seconds };
}

function readSomewhere(subject: Subject, { path, size }: File): Promise<number> {
  const offset = Math.floor((Math.random() * Math.max(0, size - smallRead)) / smallRead) * smallRead;
  return subject.read(path, offset, smallRead);
}
