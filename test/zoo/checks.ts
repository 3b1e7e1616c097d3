/** Checks for every FUSE file system: the gateway's answers must equal those of a local read. */
import { createHash } from 'node:crypto';
import { lstat, readdir, readFile, readlink, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Gateway } from '../kit/gateway.ts';
import type { Animal, Living } from './animals.ts';
import type { Consumer, Entry, NfsConsumer, SmbConsumer } from './clients.ts';
import { files, named, names, symlinks, type FileSpec, type NameKind } from './content.ts';

export interface Visit {
  readonly animal: Animal;
  readonly living: Living;
  readonly mountpoint: string;
  readonly gateway: Gateway;
  readonly nfs: NfsConsumer;
  readonly smb: SmbConsumer;
}

export interface Check {
  readonly name: string;
  /** Runs the check over one protocol. Rejects if it fails. */
  run(visit: Visit, consumer: Consumer): Promise<void>;
  applies?(animal: Animal): boolean;
}

const PEBIBYTE = 2 ** 50;
/** Ms until a changed file must be visible: the daemon's caches (1 s) and the gateway's refresh. */
const SEEN_MS = 15_000;

const fileOf = (path: string): FileSpec => files.find((file) => file.path === path)!;
const digest = (bytes: Buffer) =>
  `${String(bytes.length)} bytes ${createHash('sha256').update(bytes).digest('hex')}`;
const local = ({ mountpoint }: Visit, path: string) => join(mountpoint, path);

/** SMB cannot show a backslash in a name; U+F026 stands for it, as Linux and macOS map it. */
const nameFor = ({ protocol }: Consumer, name: string) =>
  protocol === 'smb' ? name.replaceAll('\\', '\uf026') : name;

async function localEntries(visit: Visit, path: string, consumer: Consumer): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (const name of await readdir(local(visit, path))) {
    const stat = await lstat(join(local(visit, path), name));
    const type = stat.isDirectory() ? 'directory' : stat.isSymbolicLink() ? 'symlink' : 'file';
    entries.push({ name: nameFor(consumer, name), type, size: type === 'file' ? stat.size : 0 });
  }
  return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Ignores the sizes of folders and symlinks, which differ between protocols. */
const comparable = (entries: readonly Entry[]) =>
  entries.map(({ name, type, size }) => ({ name, type, size: type === 'file' ? size : 0 }));

const shownFiles = ({ animal }: Visit) => files.filter(({ size }) => size > 0 || !animal.lacks?.empty);

async function expectSame(visit: Visit, consumer: Consumer, path: string): Promise<void> {
  expect(digest(await consumer.whole(path))).toBe(digest(await readFile(local(visit, path))));
}

export const checks: readonly Check[] = [
  {
    name: 'list',
    run: async (visit, consumer) => {
      for (const path of ['/', '/folder', '/folder/deeper'])
        expect(comparable(await consumer.list(path))).toEqual(await localEntries(visit, path, consumer));
    },
  },
  {
    name: 'stat',
    run: async (visit, consumer) => {
      for (const { path, size } of shownFiles(visit)) {
        const stat = await lstat(local(visit, path));
        expect(stat.size).toBe(size);
        expect(`${path} ${String(await consumer.mtime(path))}`).toBe(
          `${path} ${String(Math.floor(stat.mtimeMs / 1000))}`,
        );
      }
    },
  },
  {
    name: 'tail first',
    run: async (visit, consumer) => {
      const { path, size } = fileOf('/tail.mkv');
      const bytes = await readFile(local(visit, path));
      const tail = await consumer.tail(path, size - 65_536);
      expect(digest(tail)).toBe(digest(bytes.subarray(size - 65_536)));
      expect(digest(await consumer.tail(path, size - 1))).toBe(digest(bytes.subarray(size - 1)));
    },
  },
  {
    name: 'small file',
    run: async (visit, consumer) => {
      for (const { path } of shownFiles(visit).filter(({ size }) => size < 10_000))
        await expectSame(visit, consumer, path);
      // Read again: the gateway now knows the file from other requests.
      await expectSame(visit, consumer, '/small.srt');
    },
  },
  {
    name: 'large file',
    run: (visit, consumer) => expectSame(visit, consumer, '/big.mkv'),
  },
  {
    name: 'unaligned',
    run: async (visit, consumer) => {
      const { path, size } = fileOf('/odd.mkv');
      const bytes = await readFile(local(visit, path));
      for (const [offset, length] of [
        [1, 3],
        [511, 1026],
        [4095, 70_001],
        [131_071, 131_075],
        [999_000, 1000],
      ] as const) {
        const part = await (consumer.range?.(path, offset, length) ?? consumer.tail(path, offset));
        const end = consumer.range ? Math.min(size, offset + length) : size;
        expect(digest(part)).toBe(digest(bytes.subarray(offset, end)));
      }
    },
  },
  {
    name: 'symlinks',
    applies: ({ lacks }) => !lacks?.symlinks,
    run: async (visit, consumer) => {
      for (const [path, target] of symlinks) {
        // sshfs refuses links that lead upwards.
        const read = await readlink(local(visit, path)).catch(() => 'refused');
        expect(['refused', target]).toContain(read);
        expect(await consumer.readlink(path).catch(() => 'refused')).toBe(read);
      }
    },
  },
  {
    name: 'names',
    run: async (visit, consumer) => {
      const shown = (Object.keys(names) as NameKind[]).filter(
        (kind) => !visit.animal.lacks?.names?.includes(kind),
      );
      expect(comparable(await consumer.list('/names'))).toEqual(
        await localEntries(visit, '/names', consumer),
      );
      expect((await consumer.list('/names')).length).toBe(shown.length);
      for (const kind of shown) {
        const { path } = named(kind);
        const bytes = await readFile(local(visit, path));
        // smbclient reads a backslash as a separator; libnfs's tools parse a path as a URL.
        if (consumer.protocol === 'nfs') expect(digest(await consumer.tail(path, 0))).toBe(digest(bytes));
        else if (kind !== 'backslash') expect(digest(await consumer.whole(path))).toBe(digest(bytes));
      }
    },
  },
  {
    name: 'df',
    run: async (visit, consumer) => {
      const { bsize, blocks } = await statfs(visit.mountpoint);
      const { total } = await consumer.space();
      const expected = blocks * bsize === 0 ? PEBIBYTE : blocks * bsize;
      expect(Math.abs(total - expected) / expected).toBeLessThan(0.01);
    },
  },
  {
    name: 'killed, mounted again',
    run: async (visit, consumer) => {
      const { living, gateway } = visit;
      const path = consumer.protocol === 'nfs' ? '/odd.mkv' : '/tail.mkv';
      const before = await consumer.list('/folder');
      const bytes = digest(await readFile(local(visit, path)));
      const times = (what: string) => gateway.log.filter(({ msg }) => msg === what).length;
      const wasDown = times('source is down');
      const wasLive = times('source is live');
      await living.kill();
      const whole = consumer.whole(path);
      // Avoid an unhandled rejection if something fails before it is awaited below.
      whole.catch(() => undefined);
      await gateway.whenLogged(() => times('source is down') > wasDown);
      const listed = await consumer.list('/folder');
      await living.start();
      // Everything below can be answered from memory: without this, the next check could begin before the gateway looks again.
      await gateway.whenLogged(() => times('source is live') > wasLive);
      expect(comparable(listed)).toEqual(comparable(before));
      expect(digest(await whole)).toBe(bytes);
      expect(comparable(await consumer.list('/'))).toEqual(await localEntries(visit, '/', consumer));
    },
  },
  {
    name: 'replaced',
    run: async (visit, consumer) => {
      const file = fileOf('/replaced.mkv');
      // Read it first, so that the client and the gateway have cached it.
      await expectSame(visit, consumer, file.path);
      const wanted = Buffer.alloc(consumer.protocol === 'nfs' ? 350_001 : 280_002, consumer.protocol);
      const bytes = await visit.living.replace(file, wanted);
      const poll = { timeout: SEEN_MS, interval: 250 };
      await expect.poll(() => readFile(local(visit, file.path)).then(digest), poll).toBe(digest(bytes));
      await expect.poll(() => consumer.whole(file.path).then(digest), poll).toBe(digest(bytes));
    },
  },
];
