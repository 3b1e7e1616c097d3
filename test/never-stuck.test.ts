/** Many readers of hung files beside healthy files, over NFS: all requests share one connection. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { contentSeed, firstDifference, FuseTree, releasePath } from './kit/fuse.ts';
import { Gateway } from './kit/gateway.ts';
import { NfsClient } from './kit/nfs.ts';

const FILES = 50;
const READERS = 4;
const KIB = 1024;
/** Seconds until a hung read counts as an error of its file. */
const DEADLINE = 4;
const film = (index: number) => releasePath(index, 'video.mkv');

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

async function start(): Promise<{ fuse: FuseTree; gateway: Gateway; nfs: NfsClient; root: Buffer }> {
  const fuse = await FuseTree.start({ releases: FILES + 20 });
  cleanUp.push(() => fuse.dispose());
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-stuck-'));
  cleanUp.push(() => rmSync(folder, { recursive: true }));
  const config = join(folder, 'holdfast.yaml');
  const listen = ['nfs', 'smb', 'admin'].map((what) => `${what}: { listen: "127.0.0.1:0" }\n`).join('');
  writeFileSync(
    config,
    `exports: { dfs: { path: ${fuse.mountpoint}, readDeadline: ${DEADLINE} } }\n${listen}`,
  );
  const gateway = await Gateway.start({ args: ['serve', '--config', config], protocols: ['nfs', 'admin'] });
  cleanUp.push(() => gateway.kill());
  const nfs = await NfsClient.connect(gateway.port('nfs'));
  cleanUp.push(() => nfs.destroy());
  return { fuse, gateway, nfs, root: await nfs.mount('/dfs') };
}

it('fifty hung files with four readers each do not delay other files, before the deadlines and after', async () => {
  const { fuse, gateway, nfs, root } = await start();
  const handles = await Promise.all(
    Array.from({ length: FILES + 20 }, (_, index) => nfs.walk(root, film(index))),
  );
  const known = FILES;
  await nfs.read(handles[known]!, 0, 64 * KIB);
  for (let index = 0; index < FILES; index++) await fuse.hang(film(index), 'read');
  const stuck = Array.from({ length: FILES * READERS }, (_, i) =>
    nfs.read(handles[i % FILES]!, Math.floor(i / FILES) * 1024 * KIB, 1024 * KIB).then(
      () => 'read',
      () => 'failed',
    ),
  );
  await fuse.whenHeld(FILES);
  const others = async (from: number) => {
    // None of these waits for the hung files, which are healed only at the end.
    for (const index of [known, from, from + 1]) {
      const { data } = await nfs.read(handles[index]!, 0, 64 * KIB);
      expect(data).toHaveLength(64 * KIB);
      expect(firstDifference(contentSeed(film(index)), 0, data)).toBe(-1);
    }
  };
  await others(FILES + 1);
  // Each hung file holds one thread, however many readers it has.
  expect(await fuse.held()).toBe(FILES);
  await gateway.whenLogged(({ msg }) => msg === 'missed its deadline: in quarantine');
  expect(new Set(await Promise.all(stuck))).toEqual(new Set(['failed']));
  await others(FILES + 5);
  const troubled = gateway.log.filter(({ msg }) => msg === 'missed its deadline: in quarantine');
  expect(new Set(troubled.map(({ path }) => path))).toEqual(
    new Set(Array.from({ length: FILES }, (_, index) => film(index))),
  );
  await fuse.heal();
  // The late answer ends the quarantine.
  await expect
    .poll(
      () =>
        nfs.read(handles[0]!, 0, 64 * KIB).then(
          ({ data }) => data.length,
          () => 0,
        ),
      { timeout: 20_000 },
    )
    .toBe(64 * KIB);
});
