/** Source and tree over a real FUSE mount that dies, disappears, returns with new inode numbers, or gives wrong answers. */
import { mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { once, EventEmitter } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { BlockCache } from '../src/cache/block-cache.ts';
import { TreeError } from '../src/source/errors.ts';
import { createLanes } from '../src/source/lanes.ts';
import { Source, type QuarantineEvent } from '../src/source/source.ts';
import { Identity } from '../src/tree/identity.ts';
import type { TreeNode } from '../src/tree/node.ts';
import { Tree } from '../src/tree/tree.ts';
import { contentSeed, firstDifference, FuseTree, releasePath, type FuseTreeOptions } from './kit/fuse.ts';

const MIB = 1024 * 1024;

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

class Setup extends EventEmitter {
  readonly fuse: FuseTree;
  readonly source: Source;
  readonly tree: Tree;

  private constructor(fuse: FuseTree, blocks: BlockCache) {
    super();
    this.fuse = fuse;
    const deadlines = { data: 2_000, metadata: 2_000, probe: 1_000 };
    this.source = new Source({ path: fuse.mountpoint, expectFuse: true, lanes: createLanes({ deadlines }) });
    this.source.onState((state) => this.emit('state', state));
    const identity = new Identity('holdfast', 'dfs');
    this.tree = new Tree({ identity, source: this.source, times: 'auto', blocks });
  }

  static async start(options: FuseTreeOptions = {}, blocks = new BlockCache(0)): Promise<Setup> {
    const fuse = await FuseTree.start({ releases: 5, ...options });
    const setup = new Setup(fuse, blocks);
    cleanUp.push(
      () => fuse.dispose(),
      () => setup.source.close(),
      () => setup.tree.close(),
    );
    await setup.source.start();
    return setup;
  }

  async state(wanted: string): Promise<void> {
    while (this.source.state !== wanted) await once(this, 'state');
  }

  async at(path: string): Promise<TreeNode> {
    let node = this.tree.root;
    for (const part of path.split('/').filter(Boolean)) node = await this.tree.lookup(node, part);
    return node;
  }

  async firstFile(): Promise<TreeNode> {
    const all = await this.at('/__all__');
    const release = (await this.tree.list(all)).nodes[0]!;
    return (await this.tree.list(await this.tree.lookup(all, release.name))).nodes[0]!;
  }

  async bytes(node: TreeNode, offset = 0, length = 4096): Promise<Buffer> {
    const target = Buffer.alloc(length);
    const { length: got } = await this.tree.read(node, offset, target);
    return target.subarray(0, got);
  }
}

const code = (promise: unknown) =>
  Promise.resolve(promise).then(
    () => 'resolved',
    (error: unknown) => (error instanceof TreeError ? error.code : error),
  );

/** Unmounts as a daemon does: not lazily, and with retries while the mount is briefly busy. */
async function unmounted(fuse: FuseTree): Promise<void> {
  for (let tries = 5; ; tries--) {
    try {
      await fuse.unmount();
      return;
    } catch (error) {
      if (tries === 0) throw error;
    }
  }
}

describe('a FUSE tree', () => {
  it('is served with links, stable ids and times although it has none of these', async () => {
    const { tree, fuse } = await Setup.start({ times: 'now' });
    const all = await tree.lookup(tree.root, '__all__');
    expect(statSync(fuse.mountpoint + '/__all__').nlink).toBe(0);
    const first = await tree.attributes(all);
    expect(first.links).toBe(2);
    const { nodes } = await tree.list(all);
    expect(nodes).toHaveLength(5);
    expect(new Set(nodes.map((node) => node.id)).size).toBe(5);
    await tree.load(await tree.list(all), 0, 5);
    expect(nodes.map((node) => node.attributes?.kind)).toEqual(Array(5).fill('directory'));
    expect((await tree.attributes(all)).mtime).toEqual(first.mtime);
  });

  it('whose daemon dies is down, and works again after a remount with new inode numbers', async () => {
    const setup = await Setup.start({ inodes: 'mount' });
    const file = await setup.firstFile();
    const before = await setup.bytes(file);
    const { id, handle, attributes } = file;
    expect(before.length).toBe(4096);
    const epoch = setup.source.epoch;

    await setup.fuse.kill();
    expect(await code(setup.bytes(file, 1 << 20))).toBe('down');
    expect(setup.source.state).toBe('down');
    // Known entries are answered from the cache; unknown ones fail with `down`, not with ENOENT.
    expect((await setup.tree.list(file.parent!)).nodes).toContain(file);
    expect(await setup.tree.attributes(file)).toEqual(attributes);
    expect(await code(setup.at('/never-seen'))).toBe('down');

    await setup.fuse.mount();
    await setup.state('live');
    expect(setup.source.epoch).toBeGreaterThan(epoch);
    expect(await setup.bytes(file)).toEqual(before);
    const again = await setup.firstFile();
    expect([again.id, again.handle]).toEqual([id, handle]);
  });

  it('that is unmounted shows nothing of the folder underneath', async () => {
    const setup = await Setup.start();
    const all = await setup.at('/__all__');
    const listing = await setup.tree.list(all);
    await unmounted(setup.fuse);
    mkdirSync(setup.fuse.path('__all__'), { recursive: true });
    writeFileSync(setup.fuse.path('underneath'), 'not of the tree');
    cleanUp.push(() => rmSync(setup.fuse.path('underneath'), { force: true }));
    try {
      expect(await code(setup.at('/underneath'))).toBe('down');
      expect(await code(setup.at('/never-seen'))).toBe('down');
      expect(await setup.tree.list(all)).toBe(listing);
      await setup.state('down');
      expect(await code(setup.tree.list(setup.tree.root))).toBe('down');
    } finally {
      rmSync(setup.fuse.path('__all__'), { recursive: true });
      rmSync(setup.fuse.path('underneath'));
    }
    await setup.fuse.mount();
    await setup.state('live');
    expect(await code(setup.at('/underneath'))).toBe('noent');
    expect((await setup.tree.list(all)).length).toBe(listing.length);
  });

  it('that is detached lazily has its files closed at once', async () => {
    const setup = await Setup.start();
    const file = await setup.firstFile();
    const before = await setup.bytes(file);
    await setup.fuse.unmount({ lazy: true });
    await setup.state('down');
    await setup.fuse.mount();
    await setup.state('live');
    expect(await setup.bytes(file)).toEqual(before);
  });

  it('that is not mounted yet is down until it is', async () => {
    const setup = await Setup.start({ mounted: false });
    expect(setup.source.state).toBe('down');
    expect(await setup.tree.attributes(setup.tree.root)).toMatchObject({ kind: 'directory' });
    expect(await code(setup.at('/__all__'))).toBe('down');
    await setup.fuse.mount();
    await setup.state('live');
    expect((await setup.firstFile()).kind).toBe('file');
  });

  it('returns one file’s ENOTCONN to the readers of that file only', async () => {
    const setup = await Setup.start();
    const file = await setup.firstFile();
    const epoch = setup.source.epoch;
    await setup.fuse.fail(file.path, { errno: 'ENOTCONN', operations: ['read'] });
    expect(await code(setup.bytes(file, 8 << 20))).toBe('io');
    expect(setup.source).toMatchObject({ state: 'live', epoch });
  });

  it('takes a root that cannot be read for a source that is down', async () => {
    const setup = await Setup.start({ entryTimeoutSeconds: 0, attrTimeoutSeconds: 0 });
    await setup.fuse.fail('/', { errno: 'EIO', operations: ['list'] });
    expect(await code(setup.tree.list(setup.tree.root))).toBe('down');
    await setup.fuse.heal();
    expect((await setup.tree.list(setup.tree.root)).length).toBeGreaterThan(0);
  });

  it('with one file that hangs gives its readers an error, then at once, and leaves its siblings alone', async () => {
    const setup = await Setup.start();
    const events: QuarantineEvent[] = [];
    setup.source.onTrouble((event) => events.push(event));
    const bad = await setup.at(releasePath(0, 'video.mkv'));
    const good = await setup.at(releasePath(1, 'video.mkv'));
    await setup.fuse.hang(bad.path, 'read');
    const outcomes = Array.from({ length: 60 }, (_, i) => code(setup.bytes(bad, i * 65_536, 65_536)));
    await setup.fuse.whenHeld(1);
    expect((await setup.bytes(good, 1 << 20)).length).toBe(4096);
    expect((await setup.tree.list(good.parent!)).length).toBe(2);
    expect(new Set(await Promise.all(outcomes))).toEqual(new Set(['timeout']));
    expect(events).toMatchObject([{ path: bad.path, aspect: 'content', released: false, strikes: 1 }]);
    // The file is not read again during its cool-down.
    expect(await code(setup.bytes(bad))).toBe('timeout');
    expect(await setup.fuse.held()).toBeLessThanOrEqual(4);
    expect(setup.source.state).toBe('live');
    await setup.fuse.heal();
  });

  it('with one lookup that hangs still finds what lies in other directories', async () => {
    const setup = await Setup.start({ entryTimeoutSeconds: 0 });
    await setup.fuse.hang(releasePath(0, 'video.mkv'), 'lookup');
    const bad = await setup.at(releasePath(0));
    const good = await setup.at(releasePath(1));
    await setup.tree.list(bad);
    const stuck = code(setup.tree.lookup(bad, 'video.mkv'));
    await setup.fuse.whenHeld(1);
    expect((await setup.tree.lookup(good, 'video.mkv')).kind).toBe('file');
    expect(await stuck).toBe('timeout');
    expect(setup.source.quarantined).toBe(1);
    await setup.fuse.heal();
  });

  it('that hangs completely is stuck, answers from the cache, and works again once it responds', async () => {
    const setup = await Setup.start();
    const file = await setup.firstFile();
    const all = await setup.at('/__all__');
    const listing = await setup.tree.list(all);
    const attributes = await setup.tree.attributes(file);
    await setup.fuse.hang();
    await setup.state('stuck');
    expect(await setup.tree.attributes(file)).toBe(attributes);
    expect(await setup.tree.list(all)).toBe(listing);
    expect(await code(setup.bytes(file))).toBe('down');
    const resumed = setup.tree.resume('', () => setup.bytes(file), new TreeError('down'), 30_000);
    await setup.fuse.heal();
    expect((await resumed).length).toBe(4096);
    expect(setup.source).toMatchObject({ state: 'live', quarantined: 0 });
  });

  it('that hangs and then dies is down: the probe that hung has ended, if with an error', async () => {
    const setup = await Setup.start();
    const file = await setup.firstFile();
    await setup.fuse.hang();
    await setup.state('stuck');
    // The dead mount stays in the table, so the mount table shows no change.
    await setup.fuse.kill();
    await setup.state('down');
    await setup.fuse.mount();
    await setup.state('live');
    expect((await setup.bytes(file)).length).toBe(4096);
  });
});

describe('content in memory', () => {
  const film = releasePath(0, 'video.mkv');
  const stream = async (setup: Setup, node: TreeNode, from: number, to: number) => {
    for (let at = from * MIB; at < to * MIB; at += MIB)
      expect(firstDifference(contentSeed(film), at, await setup.bytes(node, at, MIB))).toBe(-1);
  };

  it('is read ahead of a stream, and the file is closed with its last user all the same', async () => {
    const setup = await Setup.start({ latency: { read: 5 } }, new BlockCache(64 * MIB));
    const node = await setup.at(film);
    const release = setup.tree.pin(node);
    await stream(setup, node, 0, 12);
    expect(setup.tree.contentCounts.ahead).toBeGreaterThan(8 * MIB);
    expect(setup.source.descriptors).toBe(1);
    release();
    // Much sooner than a stream that only pauses.
    await expect.poll(() => setup.source.descriptors, { timeout: 3_000 }).toBe(0);
  });

  it('is handed out while the daemon is away, as far as it was read ahead', async () => {
    const setup = await Setup.start({}, new BlockCache(64 * MIB));
    const node = await setup.at(film);
    await stream(setup, node, 0, 8);
    const ahead = () => setup.tree.contentCounts.ahead;
    for (let before = -1; before !== ahead();) {
      before = ahead();
      await delay(100);
    }
    await setup.fuse.kill();
    await setup.state('down');
    await stream(setup, node, 6, 10);
    expect(await code(setup.bytes(node, 40 * MIB))).toBe('down');
    await setup.fuse.mount();
    await setup.state('live');
    await stream(setup, node, 6, 14);
  });

  it('holds the late answer of a read that hung', async () => {
    const setup = await Setup.start({}, new BlockCache(64 * MIB));
    const node = await setup.at(film);
    await setup.fuse.hang(film, 'read');
    expect(await code(setup.bytes(node, MIB, MIB))).toBe('timeout');
    await setup.fuse.heal();
    await expect.poll(() => code(setup.bytes(node, MIB, MIB)), { timeout: 10_000 }).toBe('resolved');
    await stream(setup, node, 1, 2);
  });
});
