/** Another file system hides the mount or briefly replaces it: the gateway must not take its answers for the source's. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { FuseTree, releasePath } from './kit/fuse.ts';
import { Gateway } from './kit/gateway.ts';
import { NfsClient, NfsFailure } from './kit/nfs.ts';

/** RFC 1813 2.6. */
const [NOENT, JUKEBOX, STALE] = [2, 10008, 70];

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

/** A FUSE tree at parent/dfs, where `parent` can be covered. */
async function start() {
  const parent = mkdtempSync(join(tmpdir(), 'holdfast-covered-'));
  cleanUp.push(() => rmSync(parent, { recursive: true, force: true }));
  const mountpoint = join(parent, 'dfs');
  mkdirSync(mountpoint);
  const fuse = await FuseTree.start({ releases: 6, mountpoint });
  cleanUp.push(() => fuse.dispose());
  const listen = ['--nfs', '127.0.0.1:0', '--smb', '127.0.0.1:0', '--admin', '127.0.0.1:0'];
  const gateway = await Gateway.start({
    args: ['serve', mountpoint, '--name', 'dfs', ...listen],
    protocols: ['nfs', 'admin'],
  });
  cleanUp.push(() => gateway.kill());
  const nfs = await NfsClient.connect(gateway.port('nfs'));
  cleanUp.push(() => nfs.destroy());
  return { parent, mountpoint, fuse, gateway, nfs, root: await nfs.mount('/dfs') };
}

const cover = (path: string) => {
  execFileSync('mount', ['-t', 'tmpfs', 'cover', path]);
  let covered = true;
  const uncover = () => {
    if (covered) execFileSync('umount', ['-l', path]);
    covered = false;
  };
  cleanUp.push(uncover);
  return uncover;
};

const status = (promise: Promise<unknown>) =>
  promise.then(
    () => 0,
    (error: unknown) => (error as NfsFailure).status,
  );

describe('a mount that is covered', () => {
  it.each(['the mountpoint', 'a parent of it'])(
    'at %s is down, not empty, and live again after',
    async (where) => {
      const { parent, mountpoint, gateway, nfs, root } = await start();
      const names = (await nfs.readdirplus(root)).entries.length;
      const known = await nfs.walk(root, '/__all__');
      const place = where === 'the mountpoint' ? mountpoint : parent;
      const uncover = cover(place);
      // A folder of the covering file system at the mountpoint is not the tree either.
      if (place === parent) mkdirSync(mountpoint);
      const unseen = status(nfs.lookup(root, 'nzbs'));
      await gateway.whenLogged(({ msg }) => msg === 'source is down');
      expect((await nfs.readdirplus(root)).entries).toHaveLength(names);
      expect((await nfs.getattr(known)).attributes.type).toBe(2);
      uncover();
      await gateway.whenLogged(({ msg, epoch }) => msg === 'source is live' && epoch === 2);
      expect([0, JUKEBOX]).toContain(await unseen);
      expect((await nfs.lookup(root, 'torrents')).object).toBeDefined();
    },
  );
});

describe('a mount that goes and comes back at once', () => {
  it('never says that anything does not exist, or is empty, however quickly', async () => {
    const { fuse, nfs, root } = await start();
    const film = await nfs.walk(root, releasePath(2, 'video.mkv'));
    const all = await nfs.walk(root, '/__all__');
    const entries = (await nfs.readdirplus(all)).entries.length;
    let isOver = false;
    const seen: unknown[] = [];
    const ask = async () => {
      for (let round = 0; !isOver; round++) {
        // These names exist but were never looked up: only the tree itself may answer for them.
        const unseen = releasePath(3 + (round % 3));
        seen.push(await status(nfs.walk(root, unseen)), await status(nfs.getattr(film)));
        const listed = await nfs.readdirplus(all).then(
          (listing) => listing.entries.length,
          (error: unknown) => (error as NfsFailure).status,
        );
        if (listed !== entries) seen.push(listed);
      }
    };
    const asking = Promise.all([ask(), ask(), ask()]);
    for (let round = 0; round < 8; round++) {
      await fuse.unmount({ lazy: true });
      await fuse.mount();
    }
    isOver = true;
    await asking;
    expect(seen).not.toContain(NOENT);
    expect(seen).not.toContain(STALE);
    expect(new Set(seen.filter((one) => one !== 0 && one !== JUKEBOX))).toEqual(new Set());
  });
});
