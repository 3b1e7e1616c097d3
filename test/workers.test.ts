/** Worker threads that look at directories: they say what the lanes say, and one that hangs or dies holds up nothing else. */
import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { lstat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import fc from 'fast-check';
import { afterEach, expect, it } from 'vitest';
import { createLanes } from '../src/source/lanes.ts';
import { Source, type RawListing, type SourceOptions } from '../src/source/source.ts';
import { entriesMost, WorkerPool, type Workers } from '../src/source/workers/pool.ts';
import { Identity } from '../src/tree/identity.ts';
import { Tree } from '../src/tree/tree.ts';
import { FuseTree, type FuseTreeOptions } from './kit/fuse.ts';

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

/** Leaves everything to the lanes. */
const none: Workers = {
  start: () => Promise.resolve(),
  run: () => Promise.resolve(undefined),
  dismiss: () => undefined,
};

/** Made before the tree: a worker that hangs ends with the mount. */
function pool(): WorkerPool {
  const workers = new WorkerPool();
  cleanUp.push(() => workers.close());
  return workers;
}

async function started(path: string, options: Partial<SourceOptions> = {}): Promise<Source> {
  const source = new Source({ path, expectFuse: false, workers: none, verdict: 50, ...options });
  cleanUp.push(() => source.close());
  await options.workers?.start();
  await source.start();
  return source;
}

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'holdfast-workers-'));
  cleanUp.push(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

async function fuseTree(options: FuseTreeOptions): Promise<FuseTree> {
  const fuse = await FuseTree.start(options);
  cleanUp.push(() => fuse.dispose());
  return fuse;
}

function namesOf(listing: RawListing | 'same'): readonly string[] {
  if (listing === 'same') throw new Error('not what was asked for');
  return listing.names;
}

const within = { timeout: 20_000 };
const latin1 = (path: string) => Buffer.from(path, 'latin1');
const code = (promise: Promise<unknown>) =>
  promise.then(
    () => 'resolved',
    (error: unknown) => (error as { code?: string }).code,
  );

it('say of every object what the lanes say of it, whatever its name, kind, size and times', async () => {
  const workers = pool();
  const name = fc
    .uint8Array({ minLength: 1, maxLength: 40 })
    .map((bytes) => Buffer.from(bytes).toString('latin1'))
    .filter((text) => !/[/\0]/.test(text) && text !== '.' && text !== '..');
  const entry = fc.record({
    name,
    kind: fc.constantFrom('file', 'folder', 'symlink', 'fifo'),
    size: fc.constantFrom(0, 1, 4095, 2 ** 32, 2 ** 40),
    seconds: fc.constantFrom(-(2 ** 31), -1, 0, 1_700_000_000.123456, 2 ** 32 + 1),
  });
  const entries = fc.uniqueArray(entry, { maxLength: 20, selector: (one) => one.name });
  type Entry = typeof entry extends fc.Arbitrary<infer One> ? One : never;
  const make = (path: string, { name: text, kind, size, seconds }: Entry) => {
    const at = latin1(`${path}/${text}`);
    if (kind === 'folder') mkdirSync(at);
    else if (kind === 'symlink') symlinkSync('/nowhere', at);
    else if (kind === 'fifo') execFileSync('mkfifo', ['--', 'pipe'], { cwd: path });
    else {
      writeFileSync(at, '');
      truncateSync(at, size);
    }
    if (kind === 'file' || kind === 'folder') utimesSync(at, seconds, seconds);
  };
  await fc.assert(
    fc.asyncProperty(entries, async (all) => {
      const path = folder();
      const pipes = all.filter(({ kind }) => kind === 'fifo').slice(1);
      for (const one of all) if (!pipes.includes(one)) make(path, one);
      const [theirs, ours] = [await started(path), await started(path, { workers })];
      const plain = await theirs.readdir('');
      const listed = await ours.readdir('');
      if (plain === 'same' || listed === 'same') throw new Error('a first listing is never the same');
      expect(listed.names).toEqual(plain.names);
      expect(listed.kinds).toEqual(plain.kinds);
      expect(listed.attributes).toHaveLength(plain.names.length);
      const each = await Promise.all(plain.names.map((one) => theirs.lstat(`/${one}`)));
      expect(listed.attributes).toEqual(each);
      expect(await ours.looks('', plain.names, [])).toEqual(each);
      for (const one of plain.names)
        expect(await ours.lstat(`/${one}`)).toEqual(await theirs.lstat(`/${one}`));
      expect(await ours.lstat('')).toEqual(await theirs.lstat(''));
      expect(await ours.readdir('', plain.names.length, listed.digest)).toBe('same');
      expect(await code(ours.lstat('/ none'))).toBe('noent');
    }),
    { numRuns: 12 },
  );
}, 60_000);

it('follow no symlink, and see a directory that was replaced by one', async () => {
  const path = folder();
  mkdirSync(join(path, 'a'));
  writeFileSync(join(path, 'a', 'inside'), '');
  const outside = folder();
  writeFileSync(join(outside, 'inside'), 'outside');
  const source = await started(path, { workers: pool() });
  expect((await source.find('/a/inside')).attributes.size).toBe(0);
  rmSync(join(path, 'a'), { recursive: true });
  symlinkSync(outside, join(path, 'a'));
  expect((await source.find('/a')).attributes.kind).toBe('symlink');
  expect((await source.find('/a')).listing).toBeUndefined();
  expect(await code(source.lstat('/a/inside'))).toBe('notdir');
  expect(await source.looks('/a', ['inside', 'other'], [])).toEqual([]);
  expect(await code(source.readdir('/a'))).not.toBe('resolved');
});

it('tell the names alone of a large directory, and its attributes page by page', async () => {
  const path = folder();
  const count = 3 * entriesMost + 7;
  for (let i = 0; i < count; i++) writeFileSync(join(path, `é-${i}`), 'x'.repeat(i % 100));
  const source = await started(path, { workers: pool() });
  const listed = await source.readdir('');
  if (listed === 'same') throw new Error('a first listing is never the same');
  expect(listed.names).toHaveLength(count);
  expect(listed.attributes).toBeUndefined();
  const sizes = listed.names.map((name) => Number(name.slice(name.indexOf('-') + 1)) % 100);
  // On a machine that is busy with other things workers give up what takes too long.
  await expect
    .poll(async () => (await source.looks('', listed.names, [])).map((raw) => raw?.size), within)
    .toEqual(sizes);
  writeFileSync(join(path, 'one-more'), '');
  expect(namesOf(await source.readdir('', count, listed.digest))).toHaveLength(count + 1);
});

const films = Array.from({ length: 8 }, (_, i) => ({ name: `film-${i}.mkv`, size: 1000 + i }));
const release = '/__all__/';

async function treeOver(fuse: FuseTree, workers: Workers) {
  const deadlines = { metadata: 5_000, probe: 10_000 };
  const lanes = createLanes({ deadlines });
  const source = await started(fuse.mountpoint, { expectFuse: true, workers, lanes });
  const tree = new Tree({ identity: new Identity('holdfast', 'dfs'), source, times: 'auto' });
  cleanUp.push(() => tree.close());
  const all = await tree.lookup(tree.root, '__all__');
  return { source, tree, all, names: (await tree.list(all)).nodes.map(({ name }) => name) };
}

it('that hang on one entry cost the others of the folder no second', async () => {
  const workers = pool();
  const fuse = await fuseTree({ releases: 2, files: films, entryTimeoutSeconds: 0, attrTimeoutSeconds: 0 });
  const { source, tree, all, names } = await treeOver(fuse, workers);
  const hung = `${release}${names[0]!}/film-3.mkv`;
  // libfuse 2 has one lookup of a name that the kernel does not know at a time in each folder: all of them are known.
  await Promise.all(films.map(({ name }) => lstat(fuse.path(`${release}${names[0]!}/${name}`))));
  await fuse.hang(hung, 'lookup');
  const node = await tree.lookup(all, names[0]!);
  const snapshot = await tree.list(node);
  await tree.load(snapshot, 0, snapshot.length);
  // Long before the deadline.
  expect(await fuse.held()).toBeGreaterThan(0);
  expect(source.quarantined).toBe(0);
  expect(workers.aside).toBeGreaterThan(0);
  const seen = snapshot.nodes.filter(({ attributes }) => attributes);
  expect(seen.map(({ name }) => name).sort()).toEqual(
    films.map(({ name }) => name).filter((name) => name !== 'film-3.mkv'),
  );
  // What hangs is named, as it is by the lanes; the folder beside it is well.
  await expect.poll(() => source.quarantine(10).map(({ path }) => path), within).toEqual([hung]);
  const other = await tree.list(await tree.lookup(all, names[1]!));
  await tree.load(other, 0, other.length);
  expect(other.nodes.map(({ attributes }) => attributes?.kind)).toEqual(films.map(() => 'file'));
  await fuse.heal();
  await expect.poll(() => [workers.aside, source.quarantined], within).toEqual([0, 0]);
  await tree.load(snapshot, 0, snapshot.length);
  expect(snapshot.nodes.map(({ attributes }) => attributes?.size).sort()).toEqual(
    films.map(({ size }) => size),
  );
});

it('that hang on an entry while they read a listing leave the listing to the lanes', async () => {
  const workers = pool();
  const many = Array.from({ length: 50 }, (_, i) => ({ name: `film-${10 + i}.mkv`, size: 1000 + i }));
  const fuse = await fuseTree({ releases: 1, files: many, entryTimeoutSeconds: 0, attrTimeoutSeconds: 0 });
  const { source, names } = await treeOver(fuse, workers);
  const path = release + names[0]!;
  await Promise.all(many.map(({ name }) => lstat(fuse.path(`${path}/${name}`))));
  // Each sixteenth entry is looked up while the directory is read.
  await fuse.hang(`${path}/film-41.mkv`, 'lookup');
  expect(namesOf(await source.readdir(path))).toEqual(many.map(({ name }) => name));
  expect(await fuse.held()).toBe(1);
  expect([workers.aside, source.quarantined]).toEqual([1, 0]);
  await fuse.heal();
  await expect.poll(() => workers.aside, within).toBe(0);
});

it('that all hang leave the work to the lanes, and take it up again', async () => {
  const workers = pool();
  const fuse = await fuseTree({ releases: 8, files: films });
  const { source, tree, all, names } = await treeOver(fuse, workers);
  for (const name of names.slice(0, 4)) await fuse.hang(`${release}${name}`, 'list');
  const stuck: Promise<unknown>[] = [];
  for (const name of names.slice(0, 4)) {
    stuck.push(code(source.readdir(`${release}${name}`)));
    await expect.poll(() => workers.aside, within).toBeGreaterThan(0);
  }
  const well = await tree.list(await tree.lookup(all, names[5]!));
  await tree.load(well, 0, well.length);
  expect(well.nodes.map(({ attributes }) => attributes?.kind)).toEqual(films.map(() => 'file'));
  expect(await Promise.all(stuck)).toEqual(Array(4).fill('timeout'));
  expect(source.quarantined).toBe(4);
  await fuse.heal();
  await expect.poll(() => [workers.aside, source.quarantined], within).toEqual([0, 0]);
  const looked = async () => (await source.find(`${release}${names[6]!}`)).listing?.attributes?.length;
  await expect.poll(looked, within).toBe(films.length);
});

it('that are ended leave what they were about to the lanes', async () => {
  const workers = pool();
  const fuse = await fuseTree({ releases: 2, files: films });
  const { source, names } = await treeOver(fuse, workers);
  const path = `${release}${names[0]!}`;
  await fuse.hang(path, 'list');
  const listing = source.readdir(path);
  await fuse.whenHeld(1);
  const ended = workers.close();
  await fuse.heal();
  await ended;
  expect(namesOf(await listing)).toHaveLength(films.length);
  // Whoever found no worker goes by the lanes for a while.
  const looked = async () => (await source.find(path)).listing?.attributes?.length;
  await expect.poll(looked, within).toBe(films.length);
});

it('that die at once are not made again and again', async () => {
  const path = folder();
  const script = join(path, 'dying.mjs');
  writeFileSync(
    script,
    `import { parentPort } from 'node:worker_threads';
parentPort.postMessage('ready');
parentPort.once('message', () => { throw new Error('dies'); });`,
  );
  const workers = new WorkerPool(pathToFileURL(script));
  cleanUp.push(() => workers.close());
  const source = await started(path, { workers });
  for (let i = 0; i < 10; i++) expect(namesOf(await source.readdir(''))).toEqual(['dying.mjs']);
  expect(workers.busy).toBe(0);
});
