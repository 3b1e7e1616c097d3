import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type {
  Found,
  PartChange,
  RawAttributes,
  RawListing,
  SourcePart,
  SpaceUsage,
  TreeSource,
} from '../source/source.ts';
import { BlockCache } from '../cache/block-cache.ts';
import { TreeError } from './errors.ts';
import { Identity } from './identity.ts';
import { TreeLimits } from './limits.ts';
import { SipHash, type StringHash } from './siphash.ts';
import type { TreeChange } from './changes.ts';
import { Tree } from './tree.ts';

/** A source in memory that can go down and that counts its calls. */
class FakeSource implements TreeSource {
  state: 'live' | 'down' | 'stuck' = 'live';
  epoch = 1;
  readonly asked: string[] = [];
  /** Paths that exist but are missing from listings. */
  readonly unlisted = new Set<string>();
  readonly entries = new Map<string, Partial<RawAttributes> & { content?: string; target?: string }>([
    ['', {}],
  ]);

  /** Mounts below the root, by their places. */
  readonly mounts = new Map<string, SourcePart['state']>();
  /** Places that are not FUSE mounts. */
  readonly plain = new Set<string>();

  #listener: ((change: PartChange) => void) | undefined;

  part(path: string): SourcePart {
    const bases = [...this.mounts.keys()].filter((base) => path === base || path.startsWith(`${base}/`));
    const base = bases.sort().at(-1) ?? '';
    const state = base === '' ? this.state : this.mounts.get(base)!;
    return { base, state, epoch: this.epoch, reason: '', isFuse: !this.plain.has(base), quarantined: 0 };
  }

  holdsMount(path: string): boolean {
    return path === '' || [...this.mounts.keys()].some((base) => `${base}/`.startsWith(`${path}/`));
  }

  onState(listener: (change: PartChange) => void): () => void {
    this.#listener = listener;
    return () => undefined;
  }

  #newMountListener: (base: string) => void = () => undefined;

  onNewMount(listener: (base: string) => void): () => void {
    this.#newMountListener = listener;
    return () => undefined;
  }

  /** Expects a mount there from now on. */
  expect(base: string, state: SourcePart['state']): void {
    if (base === '') this.state = state;
    else this.mounts.set(base, state);
    this.#newMountListener(base);
  }

  become(state: FakeSource['state'], base = ''): void {
    if (base === '') this.state = state;
    else this.mounts.set(base, state);
    this.announce(base);
  }

  announce(base: string): void {
    this.#listener?.({ base, state: this.part(base).state, epoch: this.epoch, reason: '' });
  }

  put(path: string, entry: Partial<RawAttributes> & { content?: string; target?: string } = {}): void {
    const parent = path.slice(0, path.lastIndexOf('/'));
    if (!this.entries.has(parent)) this.put(parent);
    this.entries.set(path, entry);
  }

  remove(path: string): void {
    for (const key of this.entries.keys())
      if (key === path || key.startsWith(`${path}/`)) this.entries.delete(key);
  }

  #get(call: string, path: string) {
    this.asked.push(`${call} ${path}`);
    const { base, state } = this.part(path);
    if (state !== 'live') throw Object.assign(new TreeError('down'), { base });
    const entry = this.entries.get(path);
    if (!entry) throw new TreeError('noent');
    return entry;
  }

  #kind(path: string): RawAttributes['kind'] {
    const entry = this.entries.get(path);
    if (entry?.kind) return entry.kind;
    if (entry?.target !== undefined) return 'symlink';
    return entry?.content === undefined ? 'directory' : 'file';
  }

  async lstat(path: string): Promise<RawAttributes> {
    const entry = await Promise.resolve(this.#get('lstat', path));
    const size = entry.content?.length ?? 0;
    const time = { seconds: 1e9, nanoseconds: 0 };
    const times = { mtime: time, ctime: time, atime: time, birth: undefined };
    const fixed = { mode: 0o755, links: 0, uid: 0, gid: 0, used: size, rdev: 0 };
    return { ...fixed, ...times, size, ...entry, kind: this.#kind(path) };
  }

  /** Returns nothing, like a source without workers: the tree then uses lstat for each name. */
  async find(path: string): Promise<Found> {
    return { attributes: await this.lstat(path), listing: undefined };
  }

  looks(): Promise<readonly undefined[]> {
    return Promise.resolve([]);
  }

  async readdir(path: string): Promise<RawListing> {
    await Promise.resolve(this.#get('readdir', path));
    const names = [...this.entries.keys()]
      .filter((key) => key.startsWith(`${path}/`) && !key.slice(path.length + 1).includes('/'))
      .filter((key) => !this.unlisted.has(key))
      .map((key) => key.slice(path.length + 1));
    return { names, kinds: names.map((name) => this.#kind(`${path}/${name}`)) };
  }

  /** Callbacks of the watches, by directory. */
  readonly observers = new Map<string, () => void>();
  tells = false;

  async observe(path: string, onChange: () => void): Promise<(() => void) | undefined> {
    await Promise.resolve();
    if (!this.tells) return undefined;
    this.observers.set(path, onChange);
    return () => void this.observers.delete(path);
  }

  async readlink(path: string): Promise<string> {
    return (await Promise.resolve(this.#get('readlink', path))).target ?? '';
  }

  async space(): Promise<SpaceUsage> {
    await Promise.resolve(this.#get('space', ''));
    return { totalBytes: 10, freeBytes: 5, availableBytes: 4, totalFiles: 3, freeFiles: 2 };
  }

  file(path: string) {
    const read = async (target: Buffer, position: number) => {
      const { content = '' } = await Promise.resolve(this.#get('read', path));
      return target.write(content.slice(position, position + target.length), 'latin1');
    };
    return {
      fetchesAhead: false,
      read,
      tryRead: async (target: Buffer, position: number) => {
        const length = await read(target, position).catch(() => 0);
        return length === target.length ? ('whole' as const) : ('refused' as const);
      },
      hold: () => () => undefined,
    };
  }

  forget(path: string): void {
    this.asked.push(`forget ${path}`);
  }

  async confirm(): Promise<void> {
    await Promise.resolve(this.#get('confirm', ''));
  }
}

const identity = new Identity('holdfast', 'dfs');
const trees: Tree[] = [];

function treeOf(
  source: FakeSource,
  options: { identity?: Identity; nodes?: number; failAfter?: number; blocks?: BlockCache } = {},
): Tree {
  const tree = new Tree({ identity, source, times: 'auto', ...options });
  trees.push(tree);
  return tree;
}

async function at(tree: Tree, path: string) {
  let node = tree.root;
  for (const part of path.split('/').filter(Boolean)) node = await tree.lookup(node, part);
  return node;
}

const code = (promise: Promise<unknown>) =>
  promise.then(
    () => 'resolved',
    (error: unknown) => (error instanceof TreeError ? error.code : error),
  );
const failureOf = (work: () => unknown): Promise<unknown> =>
  Promise.resolve()
    .then(work)
    .catch((error: unknown) => error);
const later = (ms: number) => vi.advanceTimersByTimeAsync(ms);

let source: FakeSource;
beforeEach(() => {
  const toFake = [
    'setTimeout',
    'clearTimeout',
    'setInterval',
    'clearInterval',
    'performance',
    'Date',
  ] as const;
  vi.useFakeTimers({ toFake: [...toFake] });
  // lru-cache treats a start at 0 ms as none.
  vi.advanceTimersByTime(1);
  source = new FakeSource();
  source.put('/__all__/Release.A/a.mkv', { content: 'hello' });
  source.put('/__all__/Release.B/b.mkv', { content: 'world' });
});
afterEach(() => {
  for (const tree of trees.splice(0)) tree.close();
  vi.useRealTimers();
});

describe('lookup', () => {
  it('finds objects and returns the same node for the same object', async () => {
    const tree = treeOf(source);
    const file = await at(tree, '/__all__/Release.A/a.mkv');
    expect(file.attributes).toMatchObject({ kind: 'file', size: 5, links: 1 });
    expect(await at(tree, '/__all__/Release.A/a.mkv')).toBe(file);
  });

  it('answers from memory for a second, then asks again', async () => {
    const tree = treeOf(source);
    await at(tree, '/__all__/Release.A/a.mkv');
    source.asked.length = 0;
    await at(tree, '/__all__/Release.A/a.mkv');
    expect(source.asked).toEqual([]);
    await later(1_100);
    await at(tree, '/__all__/Release.A/a.mkv');
    expect(source.asked).toContain('lstat /__all__/Release.A/a.mkv');
  });

  it('caches briefly that a name does not exist', async () => {
    const tree = treeOf(source);
    expect(await code(at(tree, '/nope'))).toBe('noent');
    source.asked.length = 0;
    expect(await code(at(tree, '/nope'))).toBe('noent');
    expect(source.asked).toEqual([]);
    source.put('/nope');
    await later(1_100);
    expect((await at(tree, '/nope')).kind).toBe('directory');
  });

  it('makes one call for parallel requests', async () => {
    const tree = treeOf(source);
    await Promise.all(Array.from({ length: 50 }, () => at(tree, '/__all__')));
    expect(source.asked.filter((call) => call === 'lstat /__all__')).toHaveLength(1);
  });

  it('never says that something does not exist while the source is down', async () => {
    const tree = treeOf(source);
    await at(tree, '/__all__/Release.A/a.mkv');
    expect(await code(at(tree, '/nope'))).toBe('noent');
    source.state = 'down';
    await later(60_000);
    expect(await code(at(tree, '/nope'))).toBe('down');
    expect((await at(tree, '/__all__/Release.A/a.mkv')).attributes?.size).toBe(5);
  });
});

describe('a filesystem that reports changes', () => {
  it('is listed again after a report, and rarely otherwise', async () => {
    source.tells = true;
    const tree = treeOf(source);
    const all = await at(tree, '/__all__');
    const changes: TreeChange[] = [];
    tree.subscribe((change) => changes.push(change));
    for (let i = 0; i < 4; i++) {
      await tree.list(all);
      await later(1_500);
    }
    expect([...source.observers.keys()]).toEqual(['/__all__']);
    source.asked.length = 0;
    for (let i = 0; i < 10; i++) {
      await tree.list(all);
      await later(1_500);
    }
    expect(source.asked.filter((call) => call === 'readdir /__all__')).toEqual([]);
    source.put('/__all__/Release.C');
    source.observers.get('/__all__')!();
    await later(100);
    expect(changes).toMatchObject([{ type: 'listing', added: [{ name: 'Release.C' }] }]);
    // No client has used it for a while.
    await later(70_000);
    expect(source.observers.size).toBe(0);
  });
});

describe('an absent mount below the root', () => {
  it('is listed and found like other entries, even if it was never seen', async () => {
    source.mounts.set('/torrents', 'down');
    source.put('/torrents');
    const tree = treeOf(source);
    const snapshot = await tree.list(tree.root);
    await tree.load(snapshot, 0, snapshot.length);
    expect(snapshot.nodes.map(({ name }) => name).sort()).toEqual(['__all__', 'torrents']);
    const mount = await tree.lookup(tree.root, 'torrents');
    expect(await tree.attributes(mount)).toMatchObject({ kind: 'directory' });
    expect(await code(Promise.resolve(tree.list(mount)))).toBe('down');
    expect(await code(at(tree, '/torrents/a'))).toBe('down');
    expect(await code(at(tree, '/__all__/nope'))).toBe('noent');
  });

  it('is shown as before, and only requests for it wait', async () => {
    source.mounts.set('/torrents', 'live');
    source.put('/torrents/Release.C/c.mkv', { content: '1234' });
    const tree = treeOf(source);
    const file = await at(tree, '/torrents/Release.C/c.mkv');
    await tree.list(await at(tree, '/torrents'));
    source.become('down', '/torrents');
    source.remove('/torrents/Release.C');
    await later(60_000);
    const mount = await at(tree, '/torrents');
    expect((await tree.list(mount)).nodes.map(({ name }) => name)).toEqual(['Release.C']);
    expect((await tree.attributes(file)).size).toBe(4);
    const fresh = treeOf(source);
    const work = () => fresh.resolve(file.handle);
    const waiting = fresh.resume('', work, await failureOf(work), Infinity);
    await later(5_000);
    expect([fresh.waitingFor('/torrents'), fresh.waitingFor('')]).toEqual([1, 0]);
    expect(await code(Promise.resolve(fresh.resolve((await at(tree, '/__all__')).handle)))).toBe('resolved');
    source.put('/torrents/Release.C/c.mkv', { content: '1234' });
    source.become('live', '/torrents');
    expect((await waiting).path).toBe('/torrents/Release.C/c.mkv');
  });

  it('that is expected only now hides what was seen of the folder underneath', async () => {
    source.put('/torrents/under.mkv', { content: 'under' });
    const tree = treeOf(source);
    const under = await at(tree, '/torrents/under.mkv');
    const folder = await at(tree, '/torrents');
    await tree.list(folder);
    expect((await tree.read(under, 0, Buffer.alloc(5))).length).toBe(5);
    const { handle } = folder;
    source.expect('/torrents', 'down');
    const again = await at(tree, '/torrents');
    expect(again.handle).toEqual(handle);
    expect(await code(Promise.resolve(tree.list(again)))).toBe('down');
    expect(await code(at(tree, '/torrents/under.mkv'))).toBe('down');
    expect(await code(Promise.resolve(tree.resolve(under.handle)))).toBe('down');
    expect(await code(Promise.resolve(tree.attributes(under)))).toBe('stale');
    expect((await tree.list(tree.root)).nodes.map(({ name }) => name).sort()).toEqual([
      '__all__',
      'torrents',
    ]);

    source.remove('/torrents/under.mkv');
    source.put('/torrents/c.mkv', { content: '1234' });
    source.become('live', '/torrents');
    await later(1_500);
    const names = (await tree.list(await at(tree, '/torrents'))).nodes.map(({ name }) => name);
    expect(names).toEqual(['c.mkv']);
  });

  it('that is expected only now at the root itself hides what was seen of the folder underneath', async () => {
    source.put('/under/film.mkv', { content: 'under' });
    const tree = treeOf(source);
    const film = await at(tree, '/under/film.mkv');
    await tree.list(tree.root);
    await tree.list(await at(tree, '/under'));
    source.expect('', 'down');
    expect(await code(Promise.resolve(tree.list(tree.root)))).toBe('down');
    expect(await code(at(tree, '/under'))).toBe('down');
    expect(await code(Promise.resolve(tree.resolve(film.handle)))).toBe('down');
    source.remove('/under');
    source.become('live');
    await later(1_500);
    expect((await tree.list(tree.root)).nodes.map(({ name }) => name)).not.toContain('under');
  });

  it('releases its waiting requests when it is no longer expected', async () => {
    source.mounts.set('/torrents', 'down');
    source.put('/torrents');
    const tree = treeOf(source);
    const work = () => at(tree, '/torrents/a');
    const waiting = code(tree.resume('/torrents', work, await failureOf(work), Infinity));
    await later(1_000);
    expect(tree.waitingFor('/torrents')).toBe(1);
    source.mounts.delete('/torrents');
    source.announce('/torrents');
    expect(await waiting).toBe('noent');
  });

  it('has times that are passed on unchanged only if it is not FUSE', async () => {
    source.plain.add('');
    source.mounts.set('/dfs', 'live');
    source.put('/dfs/a.mkv', { content: 'x' });
    source.put('/plain.mkv', { content: 'x' });
    const tree = treeOf(source);
    const shown = async (path: string) => (await tree.attributes(await at(tree, path))).mtime.seconds;
    await Promise.all(['/dfs/a.mkv', '/plain.mkv'].map(shown));
    const now = { seconds: Math.floor(Date.now() / 1000), nanoseconds: 0 };
    for (const path of ['/dfs/a.mkv', '/plain.mkv']) source.put(path, { content: 'x', mtime: now });
    await later(2_000);
    expect(await shown('/dfs/a.mkv')).toBe(1e9);
    expect(await shown('/plain.mkv')).toBe(now.seconds);
  });
});

describe('attributes', () => {
  it('are stale only when a live source says so', async () => {
    const tree = treeOf(source);
    const file = await at(tree, '/__all__/Release.A/a.mkv');
    source.state = 'down';
    await later(5_000);
    expect((await tree.attributes(file)).size).toBe(5);
    source.state = 'live';
    source.remove('/__all__/Release.A');
    expect(await code(Promise.resolve(tree.attributes(file)))).toBe('stale');
    expect(file.gone).toBe(true);
  });

  it('show a new size, and drop the old descriptor', async () => {
    const tree = treeOf(source);
    const changes: TreeChange[] = [];
    tree.subscribe((change) => changes.push(change));
    const file = await at(tree, '/__all__/Release.A/a.mkv');
    const before = file.attributes!;
    source.put('/__all__/Release.A/a.mkv', { content: 'hello again' });
    await later(1_100);
    const after = await tree.attributes(file);
    expect(after.size).toBe(11);
    expect(after.ctime).not.toEqual(before.ctime);
    expect(changes).toContainEqual({ type: 'content', node: file });
    expect(source.asked).toContain('forget /__all__/Release.A/a.mkv');
  });

  it('of an open file are checked, so that a client with a lease learns of a change', async () => {
    const tree = treeOf(source);
    const file = await at(tree, '/__all__/Release.A/a.mkv');
    const changes: TreeChange[] = [];
    tree.subscribe((change) => changes.push(change));
    const release = tree.pin(file);
    source.put('/__all__/Release.A/a.mkv', { content: 'longer than before' });
    await later(2_100);
    expect(changes).toContainEqual({ type: 'content', node: file });
    release();
    source.asked.length = 0;
    await later(120_000);
    expect(source.asked).not.toContain('lstat /__all__/Release.A/a.mkv');
  });

  it('of a root that was never seen are available', async () => {
    source.state = 'down';
    const tree = treeOf(source);
    expect(await tree.attributes(tree.root)).toMatchObject({ kind: 'directory', links: 2 });
  });

  it('of another kind mean that it is another object', async () => {
    const tree = treeOf(source);
    const file = await at(tree, '/__all__/Release.A/a.mkv');
    source.put('/__all__/Release.A/a.mkv', { kind: 'directory' });
    await later(1_100);
    expect(await code(Promise.resolve(tree.attributes(file)))).toBe('stale');
    expect((await at(tree, '/__all__/Release.A/a.mkv')).kind).toBe('directory');
  });
});

describe('listings', () => {
  it('are ordered by cookie and can continue after an entry that is gone', async () => {
    for (let i = 0; i < 500; i++) source.put(`/__all__/R${i}`);
    const tree = treeOf(source);
    const all = await at(tree, '/__all__');
    const first = await tree.list(all);
    const cookies = first.nodes.map((_, i) => first.cookieAt(i));
    expect(cookies).toEqual([...new Set(cookies)].sort((a, b) => a - b));
    expect(cookies[0]).toBeGreaterThanOrEqual(3);
    expect(cookies.at(-1)).toBeLessThan(2 ** 53);
    const middle = first.nodes[250]!;
    const expected = first.nodes.slice(251).map((node) => node.name);
    source.remove(middle.path);
    await later(30_000);
    const second = await tree.list(all);
    expect(second.nodes.slice(second.after(cookies[250]!)).map((node) => node.name)).toEqual(expected);
  });

  it('change the directory’s times if and only if they change', async () => {
    const tree = treeOf(source);
    const all = await at(tree, '/__all__');
    const before = (await tree.attributes(all)).ctime;
    await later(120_000);
    expect((await tree.attributes(all)).ctime).toEqual(before);
    source.put('/__all__/Release.C');
    await later(30_000);
    const after = (await tree.attributes(all)).ctime;
    expect(after.seconds).toBeGreaterThan(before.seconds);
    await later(120_000);
    expect((await tree.attributes(all)).ctime).toEqual(after);
  });

  it('are not read for the attributes of directories that were never listed, nor for thousands at once', async () => {
    for (let i = 0; i < 500; i++) source.put(`/many/R${i}/x`, { content: 'x' });
    const tree = treeOf(source);
    const { nodes } = await tree.list(await at(tree, '/many'));
    await tree.load(await tree.list(await at(tree, '/many')), 0, 500);
    await later(0);
    source.asked.length = 0;
    for (const node of nodes) await tree.attributes(node);
    expect(source.asked).toEqual([]);
    for (const node of nodes) await tree.list(node);
    await later(5_000);
    source.asked.length = 0;
    await Promise.all(nodes.map(async (node) => await tree.attributes(node)));
    expect(source.asked.filter((call) => call.startsWith('readdir'))).toHaveLength(100);
  });

  it('give two processes the same times, and a new time after an entry was added', async () => {
    const ctime = async () => {
      const tree = treeOf(source);
      return (await tree.attributes(await at(tree, '/__all__'), true)).ctime;
    };
    const first = await ctime();
    expect(await ctime()).toEqual(first);
    source.put('/__all__/Release.C');
    expect(await ctime()).not.toEqual(first);
  });

  it('are refreshed in the background while in use, and changes are announced', async () => {
    const tree = treeOf(source);
    const all = await at(tree, '/__all__');
    await tree.list(all);
    await later(1_500);
    await tree.list(all);
    const changes: TreeChange[] = [];
    tree.subscribe((change) => changes.push(change));
    source.put('/__all__/Release.C');
    source.remove('/__all__/Release.A');
    await later(2_000);
    expect(changes).toHaveLength(1);
    expect(changes[0]).toMatchObject({ type: 'listing', directory: all });
    const { added, removed } = changes[0] as Extract<TreeChange, { type: 'listing' }>;
    expect([added.map((node) => node.name), removed.map((node) => node.name)]).toEqual([
      ['Release.C'],
      ['Release.A'],
    ]);
  });

  it('of directories that were requested only once are not refreshed', async () => {
    const tree = treeOf(source);
    await tree.list(await at(tree, '/__all__'));
    source.asked.length = 0;
    await later(20_000);
    expect(source.asked.filter((call) => call.startsWith('readdir'))).toEqual([]);
  });

  it('keep missing entries while a live source says that they exist, and drop them when it denies it', async () => {
    const tree = treeOf(source);
    const all = await at(tree, '/__all__');
    const names = async () => (await tree.list(all)).nodes.map(({ name }) => name).sort();
    expect(await names()).toEqual(['Release.A', 'Release.B']);
    source.unlisted.add('/__all__/Release.A');
    await later(2_000);
    expect(await names()).toEqual(['Release.A', 'Release.B']);
    source.remove('/__all__/Release.A');
    await later(2_000);
    expect(await names()).toEqual(['Release.B']);
    source.unlisted.add('/__all__/Release.B');
    for (let i = 0; i < 10; i++) {
      await later(2_000);
      expect(await names()).toEqual(['Release.B']);
    }
  });

  it('of a directory that is no longer in use are not refreshed, unless it is watched', async () => {
    const tree = treeOf(source);
    const all = await at(tree, '/__all__');
    await tree.list(all);
    await later(120_000);
    source.asked.length = 0;
    await later(60_000);
    expect(source.asked).toEqual([]);
    const stop = tree.keepFresh(all);
    await later(10_000);
    expect(source.asked.filter((call) => call === 'readdir /__all__').length).toBeGreaterThan(3);
    stop();
    source.asked.length = 0;
    await later(60_000);
    expect(source.asked).toEqual([]);
  });

  it('stay the same while the source is down, and are never empty', async () => {
    const tree = treeOf(source);
    const all = await at(tree, '/__all__');
    const before = await tree.list(all);
    source.state = 'down';
    await later(60_000);
    expect(await tree.list(all)).toBe(before);
    const unseen = await at(tree, '/__all__').then(() => tree.root);
    expect(await code(Promise.resolve(tree.list(unseen)))).not.toBe('noent');
  });

  it('load the attributes of a range and of the entries after it', async () => {
    for (let i = 0; i < 50; i++) source.put(`/__all__/R${i}`, { content: 'x' });
    const tree = treeOf(source);
    const snapshot = await tree.list(await at(tree, '/__all__'));
    await tree.load(snapshot, 0, 10);
    expect(snapshot.nodes.slice(0, 10).every((node) => node.attributes)).toBe(true);
    await later(0);
    expect(snapshot.nodes.every((node) => node.attributes)).toBe(true);
  });
});

describe('the edition of a listing', () => {
  it('stays while nothing changes, and ends with an entry’s attributes, an entry, or the listing', async () => {
    const source = new FakeSource();
    for (const name of ['a', 'b', 'c']) source.put(`/all/${name}`, { content: name });
    const tree = treeOf(source);
    const all = await at(tree, '/all');
    await tree.load(await tree.list(all), 0, 3);
    const seen = new Set<object>();
    const isNew = () => {
      const { edition } = all;
      const known = edition === undefined || seen.has(edition);
      if (edition) seen.add(edition);
      return !known;
    };
    expect([isNew(), isNew()]).toEqual([true, false]);
    vi.advanceTimersByTime(31_000);
    await tree.load(await tree.list(all), 0, 3);
    expect(isNew()).toBe(false);

    source.put('/all/a', { content: 'longer' });
    vi.advanceTimersByTime(31_000);
    await tree.load(await tree.list(all), 0, 3);
    expect(isNew()).toBe(true);

    source.put('/all/d', { content: 'd' });
    vi.advanceTimersByTime(31_000);
    await tree.list(all);
    expect(isNew()).toBe(true);

    source.remove('/all/b');
    expect(await code(Promise.resolve(tree.lookup(all, 'b')))).toBe('noent');
    expect(isNew()).toBe(true);
  });
});

describe('a walk', () => {
  const release = (i: number) => `/all/release-${i}`;
  const listed = (source: FakeSource) =>
    new Set(source.asked.filter((call) => call.startsWith('readdir /all/')));

  async function walked(count = 60) {
    const source = new FakeSource();
    for (let i = 0; i < count; i++) source.put(`${release(i)}/film.mkv`, { content: 'x' });
    const tree = treeOf(source);
    const all = await at(tree, '/all');
    const { nodes } = await tree.list(all);
    const step = async (i: number) => await tree.list(await tree.lookup(all, nodes[i]!.name));
    return { source, nodes, step };
  }

  it('in the order of the listing finds the next directories in memory, and no more than that is read', async () => {
    const { source, nodes, step } = await walked();
    for (let i = 0; i < 2; i++) await step(i);
    expect(listed(source).size).toBe(2);
    for (let i = 2; i < 10; i++) await step(i);
    await vi.waitFor(() => expect(listed(source).size).toBe(10 + TreeLimits.walkAhead));
    expect(listed(source)).toContain(`readdir ${nodes[10]!.path}`);
    const before = source.asked.length;
    await step(10);
    // The step itself needs nothing; it lets one more be read ahead.
    expect(source.asked.slice(before).filter((call) => call.includes(nodes[10]!.path))).toEqual([]);
    await vi.waitFor(() => expect(listed(source).size).toBe(11 + TreeLimits.walkAhead));
  });

  it('in another order, or of one directory again and again, reads nothing ahead', async () => {
    const { source, step } = await walked();
    for (const i of [40, 7, 33, 12, 3, 50, 22]) await step(i);
    for (let again = 0; again < 5; again++) await step(22);
    await new Promise(setImmediate);
    expect(listed(source).size).toBe(7);
  });

  it('meets the errors of what was read ahead only when it comes there', async () => {
    const { source, nodes, step } = await walked();
    source.remove(nodes[6]!.path);
    for (let i = 0; i < 6; i++) await step(i);
    expect(await code(step(6))).toBe('noent');
    for (let i = 7; i < 12; i++) expect(await step(i)).toHaveLength(1);
  });
});

describe('content', () => {
  it('is read to the end and no further', async () => {
    const tree = treeOf(source);
    const file = await at(tree, '/__all__/Release.A/a.mkv');
    const target = Buffer.alloc(4);
    expect(await tree.read(file, 0, target)).toEqual({ length: 4, eof: false });
    expect(target.toString()).toBe('hell');
    expect(await tree.read(file, 4, target)).toEqual({ length: 1, eof: true });
    expect(await tree.read(file, 5, target)).toEqual({ length: 0, eof: true });
    expect(await tree.read(file, 2 ** 52, target)).toEqual({ length: 0, eof: true });
  });

  it('is refused for anything but a file', async () => {
    source.put('/link', { target: 'x' });
    source.put('/pipe', { kind: 'fifo' });
    const tree = treeOf(source);
    const target = Buffer.alloc(4);
    const read = async (path: string) => await tree.read(await at(tree, path), 0, target);
    expect(await code(read('/__all__'))).toBe('isdir');
    expect(await code(read('/link'))).toBe('inval');
    expect(await code(read('/pipe'))).toBe('inval');
    expect(await tree.readlink(await at(tree, '/link'))).toBe('x');
  });
});

describe('cached content', () => {
  const film = '/__all__/Release.A/a.mkv';
  const reads = () => source.asked.filter((call) => call === `read ${film}`).length;

  async function open() {
    const tree = treeOf(source, { blocks: new BlockCache(2 ** 20) });
    const file = await at(tree, film);
    const read = async () => {
      const target = Buffer.alloc(16);
      const { length, eof } = await tree.read(file, 0, target);
      return [target.toString('latin1', 0, length), eof];
    };
    return { tree, file, read };
  }

  it('is returned without a promise and without a call to the source', async () => {
    const { tree, file, read } = await open();
    expect(await read()).toEqual(['hello', true]);
    source.asked.length = 0;
    const target = Buffer.alloc(3);
    expect(tree.read(file, 1, target)).toEqual({ length: 3, eof: false });
    expect(target.toString()).toBe('ell');
    expect(source.asked).toEqual([]);
    expect(tree.contentCounts).toMatchObject({ served: 8, hits: 3 });
  });

  it('is dropped when the file has changed', async () => {
    const { tree, file, read } = await open();
    await read();
    source.put(film, { content: 'HELLO', mtime: { seconds: 2e9, nanoseconds: 1 } });
    await later(1_100);
    await tree.attributes(file);
    expect(await read()).toEqual(['HELLO', true]);
    source.put(film, { content: 'hello again' });
    await later(1_100);
    await tree.attributes(file);
    expect(await read()).toEqual(['hello again', true]);
  });

  it('is checked while it is read: a change shows within two seconds', async () => {
    const { read } = await open();
    await read();
    source.put(film, { content: 'HELLO', mtime: { seconds: 1e9, nanoseconds: 5 } });
    for (let i = 0; i < 20; i++) {
      await read();
      await later(100);
    }
    expect(await read()).toEqual(['HELLO', true]);
  });

  it('is not used with old attributes: a later read waits for a lookup', async () => {
    const { read } = await open();
    await read();
    await later(3_600_000);
    source.put(film, { content: 'HELLO', mtime: { seconds: 1e9, nanoseconds: 5 } });
    expect(await read()).toEqual(['HELLO', true]);
    await later(3_600_000);
    source.asked.length = 0;
    expect(await read()).toEqual(['HELLO', true]);
    expect(reads()).toBe(0);
  });

  it('is used while the source is absent, and checked again when it is back', async () => {
    const { read } = await open();
    await read();
    source.become('down');
    await later(600_000);
    expect(await read()).toEqual(['hello', true]);
    source.put(film, { content: 'HELLO', mtime: { seconds: 1e9, nanoseconds: 5 } });
    await later(600_000);
    expect(await read()).toEqual(['hello', true]);
    source.become('live');
    expect(await read()).toEqual(['HELLO', true]);
  });

  it('is not used once the file is gone', async () => {
    const { tree, file, read } = await open();
    await read();
    source.remove('/__all__/Release.A');
    await later(1_100);
    expect(await code(Promise.resolve(tree.attributes(file)))).toBe('stale');
    expect(await code(read())).toBe('stale');
    await later(1_100);
    source.put(film, { content: 'other' });
    expect((await at(tree, film)) === file).toBe(false);
    expect(await code(read())).toBe('stale');
  });

  it('of a file that was just changed is read again, as its times may be whole seconds', async () => {
    const seconds = Math.floor(Date.now() / 1000);
    source.put(film, { content: 'hello', mtime: { seconds, nanoseconds: 0 } });
    const { read } = await open();
    expect(await read()).toEqual(['hello', true]);
    source.put(film, { content: 'HELLO', mtime: { seconds, nanoseconds: 0 } });
    await later(3_000);
    expect(await read()).toEqual(['HELLO', true]);
    expect(reads()).toBe(2);
    await later(3_000);
    await read();
    expect(reads()).toBe(2);
  });

  it('is not dropped because a time follows the clock', async () => {
    const { tree, file, read } = await open();
    for (let i = 0; i < 5; i++) {
      source.put(film, {
        content: 'hello',
        mtime: { seconds: Math.floor(Date.now() / 1000), nanoseconds: 0 },
      });
      await later(31_000);
      await tree.attributes(file);
      await read();
    }
    const before = reads();
    for (let i = 0; i < 5; i++) {
      source.put(film, {
        content: 'hello',
        mtime: { seconds: Math.floor(Date.now() / 1000), nanoseconds: 0 },
      });
      await later(31_000);
      expect(await read()).toEqual(['hello', true]);
    }
    expect(reads()).toBe(before);
  });
});

describe('an outage', () => {
  it('makes work wait until the source is back', async () => {
    const tree = treeOf(source);
    const file = await at(tree, '/__all__/Release.A/a.mkv');
    source.become('down');
    const target = Buffer.alloc(5);
    const work = async () => await tree.read(file, 0, target);
    const failure = await work().catch((error: unknown) => error);
    const resumed = tree.resume('', work, failure, Infinity);
    await later(100_000);
    expect(tree.waiting).toBe(1);
    source.become('live');
    expect(await resumed).toEqual({ length: 5, eof: true });
    expect(target.toString()).toBe('hello');
  });

  it('counts each request once, with its whole wait, however often its work was repeated', async () => {
    const tree = treeOf(source);
    const file = await at(tree, '/__all__/Release.A/a.mkv');
    const waits = (name: string | undefined) => {
      const request = { since: performance.now(), node: file, name, client: '10.0.0.9' };
      tree.waiters.add(request);
      return request;
    };
    const hung = waits(undefined);
    const failed = waits(undefined);
    await later(2_000);
    source.become('stuck');
    tree.toll('');
    const work = async () => await tree.read(file, 0, Buffer.alloc(5));
    const down = new TreeError('down');
    const resumed = tree.resume(file.path, work, down, Infinity, undefined, failed);
    const expired = code(tree.resume(file.path, work, down, 1_000));
    await later(3_000);
    expect(await expired).toBe('down');
    source.become('live');
    expect(tree.toll('')).toEqual({ requests: 3, longestMs: 5_000 });
    await resumed;
    tree.waiters.delete(failed);
    tree.waiters.delete(hung);
    source.become('stuck');
    tree.toll('');
    expect(tree.toll('')).toEqual({ requests: 0, longestMs: 0 });
  });

  it('is an error after the request’s timeout', async () => {
    const tree = treeOf(source);
    source.become('down');
    const waiting = code(
      tree.resume('', () => Promise.reject(new TreeError('down')), new TreeError('down'), 20_000),
    );
    await later(20_000);
    expect(await waiting).toBe('down');
  });

  it('is an I/O error after the configured time', async () => {
    const tree = treeOf(source, { failAfter: 5_000 });
    source.become('down');
    const work = () => Promise.reject(new TreeError('down'));
    const waiting = code(tree.resume('', work, new TreeError('down'), Infinity));
    await later(5_001);
    expect(await waiting).toBe('io');
    expect(await code(tree.resume('', work, new TreeError('down'), Infinity))).toBe('io');
  });

  it('is followed by a check of pinned objects, which may have changed', async () => {
    const tree = treeOf(source);
    const file = await at(tree, '/__all__/Release.A/a.mkv');
    const release = tree.pin(file);
    const changes: TreeChange[] = [];
    tree.subscribe((change) => changes.push(change));
    source.become('down');
    source.put('/__all__/Release.A/a.mkv', { content: 'another' });
    source.become('live');
    await later(0);
    expect(changes).toContainEqual({ type: 'content', node: file });
    expect(file.attributes?.size).toBe(7);
    release();
  });

  it('makes older answers be refreshed', async () => {
    const tree = treeOf(source);
    const all = await at(tree, '/__all__');
    await tree.list(all);
    source.become('down');
    source.put('/__all__/Release.C');
    source.become('live');
    expect((await tree.list(all)).nodes.map((node) => node.name)).toContain('Release.C');
  });
});

describe('metadata of an earlier process', () => {
  const lines = async (tree: Tree) => {
    const all: string[] = [];
    for await (const line of tree.warmLines()) all.push(line);
    return all;
  };

  async function earlier(): Promise<Tree> {
    const tree = treeOf(source);
    await tree.attributes(tree.root);
    const file = await at(tree, '/__all__/Release.A/a.mkv');
    await tree.list(file.parent!);
    const all = await at(tree, '/__all__');
    await tree.load(await tree.list(all), 0, 2);
    return tree;
  }

  it('answers for known objects before the source is there', async () => {
    const first = await earlier();
    const saved = await lines(first);
    const file = await at(first, '/__all__/Release.A/a.mkv');
    source.become('down');
    const second = treeOf(source);
    expect(second.resumeWarm(saved)).toBeGreaterThan(3);
    const again = await at(second, '/__all__/Release.A/a.mkv');
    expect(await second.attributes(again)).toEqual(file.attributes);
    const names = (await second.list(await at(second, '/__all__'))).nodes.map((node) => node.name);
    expect(names.sort()).toEqual(['Release.A', 'Release.B']);
    expect(await code(at(second, '/__all__/Release.C'))).toBe('down');
    const target = Buffer.alloc(5);
    expect(await code(Promise.resolve(second.read(again, 0, target)))).toBe('down');
  });

  it('is refreshed as soon as the source is there', async () => {
    const saved = await lines(await earlier());
    source.remove('/__all__/Release.A');
    const second = treeOf(source);
    second.resumeWarm(saved);
    expect(await code(at(second, '/__all__/Release.A/a.mkv'))).not.toBe('resolved');
    expect((await second.list(await at(second, '/__all__'))).length).toBe(1);
  });

  it('of another version, export or form is refused', async () => {
    const saved = await lines(await earlier());
    const tree = () => treeOf(source);
    expect(() => tree().resumeWarm([])).toThrow();
    expect(() => tree().resumeWarm(['{"holdfast":"metadata","version":99,"export":"dfs"}'])).toThrow(
      /version/,
    );
    expect(() => tree().resumeWarm([saved[0]!.replace('dfs', 'other'), ...saved.slice(1)])).toThrow(/export/);
    for (const bad of ['{', 'null', '{"path":1}', '{"path":"","changedAt":null,"entries":[["..",0]]}']) {
      expect(() => tree().resumeWarm([saved[0]!, bad])).toThrow();
    }
    expect(() => tree().resumeWarm([...saved.slice(0, -1), saved.at(-1)!.slice(0, 40)])).toThrow();
  });
});

describe('handles', () => {
  it('work in a new process', async () => {
    source.put('/a/b/c/d/e/f/g/deep', { content: 'x' });
    const here = treeOf(source);
    const handles = await Promise.all(
      ['/__all__/Release.A/a.mkv', '/__all__', '/a/b/c/d/e/f/g/deep'].map(
        async (path) => (await at(here, path)).handle,
      ),
    );
    const there = treeOf(source);
    for (const handle of handles) {
      const node = await there.resolve(handle);
      expect(node.handle).toEqual(handle);
      expect(await there.attributes(node)).toMatchObject({ links: node.kind === 'directory' ? 2 : 1 });
    }
    expect(await there.resolve(here.root.handle)).toBe(there.root);
  });

  it('are stale only if a live source says so', async () => {
    const { handle } = await at(treeOf(source), '/__all__/Release.A/a.mkv');
    source.state = 'down';
    const there = treeOf(source);
    expect(await code(Promise.resolve(there.resolve(handle)))).toBe('down');
    source.state = 'live';
    expect((await there.resolve(handle)).name).toBe('a.mkv');
    source.remove('/__all__/Release.A');
    expect(await code(Promise.resolve(treeOf(source).resolve(handle)))).toBe('stale');
  });

  it('that are not valid are refused', () => {
    const tree = treeOf(source);
    const wrong = Buffer.from(tree.root.handle);
    wrong[15]! ^= 1;
    expect(() => tree.resolve(wrong)).toThrow(TreeError);
    expect(() => tree.resolve(Buffer.alloc(64))).toThrow(TreeError);
  });
});

describe('memory', () => {
  it('is bounded, and dropped objects return with the same ids', async () => {
    for (let d = 0; d < 20; d++) for (let f = 0; f < 50; f++) source.put(`/d${d}/f${f}`, { content: 'x' });
    const tree = treeOf(source, { nodes: 200 });
    const ids = new Map<string, bigint>();
    for (let round = 0; round < 2; round++) {
      for (let d = 0; d < 20; d++) {
        for (const node of (await tree.list(await at(tree, `/d${d}`))).nodes) {
          expect(ids.get(node.path) ?? node.id).toBe(node.id);
          ids.set(node.path, node.id);
        }
        await later(10);
      }
    }
    expect(ids.size).toBe(1000);
    expect(tree.size).toBeLessThan(400);
  });
});

describe('colliding hashes', () => {
  /** An 8-bit hash for ids: hundreds of paths use every value many times. */
  class WeakHash implements StringHash {
    high = 0;
    low = 0;
    readonly #strong: SipHash;
    constructor(key: Buffer) {
      this.#strong = new SipHash(key);
    }
    update(text: string): void {
      this.#strong.update(text);
      this.low = this.#strong.low & (text.includes('\0') ? 0xffff : 0xff);
    }
  }
  const weak = () => new Identity('holdfast', 'dfs', (key) => new WeakHash(key));

  it('still give every object a unique id, cookie and handle, the same in every process', async () => {
    for (let i = 0; i < 300; i++) source.put(`/R${i}`, { content: String(i) });
    const look = async () => {
      const tree = treeOf(source, { identity: weak() });
      const listing = await tree.list(tree.root);
      return listing.nodes.map((node, i) => [node.name, node.id, listing.cookieAt(i)] as const);
    };
    const first = await look();
    expect(new Set(first.map(([, id]) => id)).size).toBe(301);
    expect(new Set(first.map(([, , cookie]) => cookie)).size).toBe(301);
    expect(await look()).toEqual(first);
  });
});
