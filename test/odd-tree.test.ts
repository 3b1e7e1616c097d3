/** A FUSE tree with odd answers, one folder for each kind: how the gateway serves them over both protocols. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NfsStatus } from '../protocols/nfs-rpc/src/status.ts';
import { NfsFailure } from './kit/nfs.ts';
import type { Consumer } from './zoo/clients.ts';
import { Site } from './zoo/daemon.ts';
import { LATE_SIZE, oddBytes, OddTree } from './zoo/odd-tree.ts';
import { serve, sourceState, undo, type Served } from './zoo/visit.ts';

const UINT32_MAX = 0xffff_ffff;
/** The gateway waits about a second for entries that do not answer; none of these hangs. */
const PROMPT_MS = 10_000;

const cleanUp: (() => unknown)[] = [];
let tree: OddTree;
let served: Served;
let nfs: Served['nfs'];
let smb: Served['smb'];

beforeAll(async () => {
  const site = new Site('odd');
  cleanUp.push(() => site.dispose());
  tree = await OddTree.start(site);
  served = await serve(tree.mountpoint, cleanUp);
  ({ nfs, smb } = served);
});
afterAll(() => undo(cleanUp));

const namesOf = async (consumer: Consumer, path: string) =>
  (await consumer.list(path)).map(({ name, type }) => `${name} ${type}`);
const both = (title: string, test: (consumer: Consumer) => Promise<void>) => {
  for (const protocol of ['nfs', 'smb'] as const) it(`${title}, ${protocol}`, () => test(served[protocol]));
};
const expectFile = async (consumer: Consumer, path: string, size: number) => {
  const bytes = await consumer.whole(path);
  expect(bytes.length).toBe(size);
  expect(bytes.equals(oddBytes(0, size))).toBe(true);
};

it('has a root that can be listed', async () => {
  const folders = ['lookups', 'mistyped', 'names', 'opens', 'reads', 'sizes', 'times', 'twice', 'untyped'];
  for (const consumer of served.consumers)
    expect(await namesOf(consumer, '/')).toEqual(folders.map((name) => `${name} directory`));
});

describe('a listing with unknown or wrong file types', () => {
  both('no kinds', async (consumer) => {
    expect(await namesOf(consumer, '/untyped')).toEqual([
      'a.mkv file',
      'b.mkv file',
      'folder directory',
      'link symlink',
    ]);
    expect(await namesOf(consumer, '/untyped/folder')).toEqual(['in.mkv file']);
    await expectFile(consumer, '/untyped/a.mkv', 100_000);
    expect(await consumer.readlink('/untyped/link')).toBe('a.mkv');
  });

  both('wrong kinds', async (consumer) => {
    expect(await namesOf(consumer, '/mistyped')).toEqual([
      'file.mkv file',
      'folder directory',
      'link symlink',
    ]);
    await expectFile(consumer, '/mistyped/file.mkv', 70_000);
    // List once more, after the entries have been looked up.
    expect(await namesOf(consumer, '/mistyped')).toEqual([
      'file.mkv file',
      'folder directory',
      'link symlink',
    ]);
    expect(await namesOf(consumer, '/mistyped/folder')).toEqual(['in.mkv file']);
  });

  it('gives one handle to an entry, by lookup and by listing', async () => {
    for (const folder of ['/untyped', '/mistyped']) {
      const before = await nfs.rawEntries(folder);
      for (const { name, handle } of before) {
        const looked = await nfs.handle(`${folder}/${name}`);
        expect(looked).toEqual(handle);
        expect((await nfs.client.getattr(looked)).attributes.nlink).toBeGreaterThan(0);
      }
      expect(await nfs.rawEntries(folder)).toEqual(before);
    }
  });
});

describe('names', () => {
  both('listed twice are there and can be read', async (consumer) => {
    expect([...new Set(await namesOf(consumer, '/twice'))]).toEqual([
      'folder directory',
      'one.mkv file',
      'two.mkv file',
    ]);
    await expectFile(consumer, '/twice/two.mkv', 2);
  });

  it('never share a cookie', async () => {
    for (const folder of ['/twice', '/names']) {
      const cookies = (await nfs.rawEntries(folder)).map(({ cookie }) => cookie);
      expect(new Set(cookies).size).toBe(cookies.length);
      expect(cookies).toEqual([...cookies].sort((a, b) => a - b));
    }
  });

  it('that are not UTF-8 are four files over NFS, byte for byte', async () => {
    const sizes: Record<string, number> = {
      'bad-\xff.mkv': 1000,
      'bad-\xfe.mkv': 2000,
      'latin-\xe9.mkv': 3000,
    };
    const entries = await nfs.rawEntries('/names');
    expect(entries).toHaveLength(4);
    const folder = await nfs.handle('/names');
    for (const [name, size] of Object.entries(sizes)) {
      expect(entries.find((entry) => entry.name === name)?.size).toBe(size);
      const { object } = await nfs.client.lookup(folder, name);
      expect((await nfs.client.read(object, 0, 65_536)).data.equals(oddBytes(0, size))).toBe(true);
    }
  });

  it('that are not UTF-8 are four files over SMB, each with a different name', async () => {
    const entries = await smb.list('/names');
    expect(entries.map(({ size }) => size).sort()).toEqual([1000, 2000, 3000, 4000]);
    expect(new Set(entries.map(({ name }) => name)).size).toBe(4);
    for (const { name, size } of entries) await expectFile(smb, `/names/${name}`, size);
  });
});

describe('values that a protocol cannot represent', () => {
  both('times: every file is listed', async (consumer) => {
    expect(await consumer.list('/times')).toHaveLength(13);
    await expectFile(consumer, '/times/smallest', 1);
    await expectFile(consumer, '/times/year-1', 1);
  });

  it('times before 1970 and after 2106 become the nearest time that NFS can represent', async () => {
    const said = async (name: string) => {
      const { seconds, nanoseconds } = (await nfs.attributes(`/times/${name}`)).mtime;
      expect(nanoseconds).toBeLessThan(1_000_000_000);
      return seconds;
    };
    for (const name of ['smallest', 'year-1', 'year-1500', 'year-1601', 'year-1901', 'year-1969', 'zero'])
      expect([name, await said(name)]).toEqual([name, 0]);
    // A time in the future is trusted once it stays the same. (Node reports the largest time of all as the smallest.)
    const soon = { timeout: 20_000, interval: 500 };
    for (const name of ['year-2107', 'year-2500', 'year-9999'])
      await expect.poll(async () => [name, await said(name)], soon).toEqual([name, UINT32_MAX]);
    await expect.poll(() => said('year-2039'), soon).toBe(2_177_452_800);
  });

  it('times between are exact, and nanoseconds never round up', async () => {
    const { mtime } = await nfs.attributes('/times/almost-a-second');
    expect(mtime.seconds).toBe(1_600_000_000);
    expect(mtime.nanoseconds).toBeGreaterThanOrEqual(999_999_000);
    await expect
      .poll(() => smb.mtime('/times/year-2500'), { timeout: 20_000, interval: 500 })
      .toBe(16_725_225_600);
    expect(await smb.mtime('/times/year-1901')).toBe(-(2 ** 31));
  });

  both('sizes: every file is listed, the largest as large as can be said', async (consumer) => {
    const sizes = Object.fromEntries((await consumer.list('/sizes')).map(({ name, size }) => [name, size]));
    expect(sizes).toMatchObject({
      '5-gib.mkv': 5 * 2 ** 30,
      'empty.mkv': 0,
      'no-blocks.mkv': 2 ** 20,
      'no-links.mkv': 2 ** 20,
    });
    expect(sizes['largest.mkv']).toBeGreaterThanOrEqual(Number.MAX_SAFE_INTEGER);
    expect(sizes['above-2-53.mkv']).toBeGreaterThanOrEqual(Number.MAX_SAFE_INTEGER);
    await expectFile(consumer, '/sizes/no-blocks.mkv', 2 ** 20);
    await expectFile(consumer, '/sizes/no-links.mkv', 2 ** 20);
    await expectFile(consumer, '/sizes/empty.mkv', 0);
  });

  it('files beyond 4 GiB and 2^53 are read from their beginning, and no file has 0 links', async () => {
    for (const name of ['5-gib.mkv', 'above-2-53.mkv', 'largest.mkv'])
      expect((await nfs.range(`/sizes/${name}`, 0, 70_000)).equals(oddBytes(0, 70_000))).toBe(true);
    expect((await nfs.tail('/sizes/5-gib.mkv', 5 * 2 ** 30 - 1000)).length).toBe(1000);
    expect((await nfs.attributes('/sizes/no-links.mkv')).nlink).toBe(1);
  });
});

describe('one bad entry among good ones', () => {
  both('a folder is listed completely and promptly, and its good files are read', async (consumer) => {
    const startMs = performance.now();
    const listed = (await consumer.list('/lookups')).map(({ name }) => name.replace('.mkv', ''));
    expect(performance.now() - startMs).toBeLessThan(PROMPT_MS);
    // Only the entry for which the source itself says ENOENT may be missing.
    const names = listed.filter((name) => name !== 'ENOENT');
    const bad = [
      'EACCES',
      'EDQUOT',
      'EIO',
      'EMEDIUMTYPE',
      'ENODATA',
      'ENOTCONN',
      'EREMOTEIO',
      'ESTALE',
      'ETIMEDOUT',
    ];
    expect(names).toEqual([...bad, 'a-good', 'z-good']);
    await expectFile(consumer, '/lookups/a-good.mkv', 5000);
    await expectFile(consumer, '/lookups/z-good.mkv', 5000);
    expect(await sourceState(served)).toBe('live');
  });

  it('an entry whose lookup fails gives an I/O error, never stale or not found', async () => {
    for (const name of [
      'EIO',
      'ESTALE',
      'ETIMEDOUT',
      'ENOTCONN',
      'EREMOTEIO',
      'EDQUOT',
      'EMEDIUMTYPE',
      'ENODATA',
    ]) {
      const failure = await nfs.handle(`/lookups/${name}.mkv`).catch((error: unknown) => error);
      expect([name, (failure as NfsFailure).status]).toEqual([name, NfsStatus.IO]);
    }
    const denied = await nfs.handle('/lookups/EACCES.mkv').catch((error: unknown) => error);
    expect((denied as NfsFailure).status).toBe(NfsStatus.ACCES);
    expect(await sourceState(served)).toBe('live');
  });

  both('a file that cannot be opened or read is its own fault', async (consumer) => {
    for (const path of [
      '/opens/EACCES.mkv',
      '/opens/EIO.mkv',
      '/opens/ESTALE.mkv',
      '/reads/EIO.mkv',
      '/reads/EREMOTEIO.mkv',
    ])
      await expect(consumer.whole(path)).rejects.toThrow();
    await expectFile(consumer, '/opens/good.mkv', 5000);
    expect(await sourceState(served)).toBe('live');
  });

  both('which is over when the source says so', async (consumer) => {
    const path = `/opens/${consumer.protocol === 'nfs' ? 'EIO' : 'ESTALE'}.mkv`;
    await expect(consumer.whole(path)).rejects.toThrow();
    await tree.tell(`open ${path} ok`);
    await expect
      .poll(() => consumer.whole(path).then((bytes) => bytes.length), { timeout: 60_000, interval: 500 })
      .toBe(5000);
  });
});

describe('reads', () => {
  both('with short answers are complete', (consumer) => expectFile(consumer, '/reads/short.mkv', 300_000));

  both('of seven bytes, where lengths have to be aligned', (consumer) =>
    expectFile(consumer, '/reads/tiny.mkv', 7),
  );

  // `open` comes last: what the gateway learns from it must not affect the other files.
  for (const when of ['unaligned', 'read', 'open']) {
    both(`O_DIRECT refused (${when}): tail first, whole, and once more`, async (consumer) => {
      const path = `/reads/refuse-${when}.mkv`;
      expect((await consumer.tail(path, 300_001 - 4097)).equals(oddBytes(300_001 - 4097, 4097))).toBe(true);
      await expectFile(consumer, path, 300_001);
      await expectFile(consumer, path, 300_001);
      expect(await tree.directOpens(path)).toBeGreaterThan(0);
    });
  }

  it('of other files still use O_DIRECT', async () => {
    await expectFile(nfs, '/reads/good.mkv', 300_001);
    expect(await tree.directOpens('/reads/good.mkv')).toBeGreaterThan(0);
  });

  it('end at the size in their attributes, even if the file has more bytes', async () => {
    const { data, eof, attributes } = await nfs.client.read(
      await nfs.handle('/reads/late.mkv'),
      0,
      2 * LATE_SIZE,
    );
    expect(eof).toBe(data.length >= attributes!.size);
    expect(data.equals(oddBytes(0, data.length))).toBe(true);
  });
});

describe('a source that cannot tell its size', () => {
  for (const mode of ['zero', 'huge', 'ENOSYS', 'EIO', 'EACCES'] as const) {
    it(`statfs ${mode}: live, listed, and not reported as a full disk`, async () => {
      await tree.tell(`statfs ${mode}`);
      const steps: (() => unknown)[] = [() => tree.tell('statfs ok')];
      try {
        const other = await serve(tree.mountpoint, steps);
        for (const consumer of other.consumers) {
          expect(await consumer.list('/')).toHaveLength(9);
          const { total, available } = await consumer.space();
          expect(total).toBeGreaterThan(2 ** 40);
          expect(available).toBeGreaterThan(total / 4);
          if (mode === 'zero') expect(total).toBe(2 ** 50);
        }
        expect(await sourceState(other)).toBe('live');
      } finally {
        await undo(steps);
      }
    });
  }
});

it('leaves no error in the gateway’s log', () => {
  expect(served.gateway.errors()).toEqual([]);
});
