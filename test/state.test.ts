/** The state directory: a gateway that starts before its mount answers from the metadata that the last one saved. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { contentSeed, firstDifference, FuseTree, releasePath } from './kit/fuse.ts';
import { Gateway } from './kit/gateway.ts';
import { NfsClient } from './kit/nfs.ts';

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

async function start(folder: string, mountpoint: string) {
  const config = join(folder, 'holdfast.yaml');
  writeFileSync(
    config,
    `exports: { dfs: { path: ${mountpoint} } }
nfs: { listen: "127.0.0.1:0" }
smb: { listen: "127.0.0.1:0" }
admin: { listen: "127.0.0.1:0" }
state: ${join(folder, 'state')}
`,
  );
  const gateway = await Gateway.start({ args: ['serve', '--config', config], protocols: ['nfs'] });
  cleanUp.push(() => gateway.kill());
  const client = await NfsClient.connect(gateway.port('nfs'));
  cleanUp.push(() => client.close());
  return { gateway, client, root: await client.mount('/dfs') };
}

describe('the state directory', () => {
  it('lets a gateway answer before its mount is there, and refresh once it is', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-state-'));
    const fuse = await FuseTree.start({ releases: 20 });
    cleanUp.push(
      () => rmSync(folder, { recursive: true }),
      () => fuse.dispose(),
    );
    const video = releasePath(3, 'video.mkv');
    const first = await start(folder, fuse.mountpoint);
    const all = await first.client.walk(first.root, '/__all__');
    const file = await first.client.walk(first.root, video);
    const listed = await first.client.readdirplus(all);
    const attributes = await first.client.getattr(file);
    await first.gateway.stop();
    expect(readdirSync(join(folder, 'state'))).toEqual(['metadata-dfs.jsonl', 'scans', 'secret']);

    await fuse.unmount();
    const second = await start(folder, fuse.mountpoint);
    const again = await second.client.readdirplus(all);
    expect(again.entries.map((entry) => entry.name)).toEqual(listed.entries.map((entry) => entry.name));
    expect(await second.client.getattr(file)).toEqual(attributes);
    expect(await second.client.walk(second.root, video)).toEqual(file);
    const read = second.client.read(file, 0, 65_536);
    await fuse.remove(releasePath(7));
    await fuse.mount();
    expect(firstDifference(contentSeed(video), 0, (await read).data)).toBe(-1);
    await expect
      .poll(async () => (await second.client.readdirplus(all)).entries.length, { timeout: 10_000 })
      .toBe(listed.entries.length - 1);
    expect(second.gateway.errors()).toEqual([]);
  });

  it('with foreign content is reported and does no harm', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-state-'));
    const fuse = await FuseTree.start({ releases: 2 });
    cleanUp.push(
      () => rmSync(folder, { recursive: true }),
      () => fuse.dispose(),
    );
    const first = await start(folder, fuse.mountpoint);
    await first.client.readdirplus(first.root);
    await first.gateway.stop();
    writeFileSync(
      join(folder, 'state/metadata-dfs.jsonl'),
      '{"holdfast":"metadata","version":1,"export":"dfs"}\n{"pa',
    );
    const second = await start(folder, fuse.mountpoint);
    expect(
      await second.gateway.whenLogged((line) => line['msg'] === 'saved metadata not taken in'),
    ).toBeDefined();
    expect((await second.client.readdirplus(second.root)).entries.length).toBeGreaterThan(2);
  });
});
