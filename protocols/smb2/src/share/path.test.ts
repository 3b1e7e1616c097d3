import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MemoryShare } from '../memory/memory-share.ts';
import { openPath, TestKit } from '../testing/kit.ts';
import type { RawClient } from '../testing/raw-client.ts';
import { Command, CreateOption, FileAttribute, HEADER_SIZE } from '../wire/constants.ts';
import { createResponse } from '../wire/create.ts';
import { queryDirectoryRequest } from '../wire/query.ts';
import { Status } from '../wire/status.ts';

const linkRoots = [
  { path: '/mnt/dfs', at: [] },
  { path: '/mnt/torrents', at: ['.torrents'] },
  { path: '/data/torrents/', at: ['.torrents'] },
];

let kit: TestKit;
let share: MemoryShare;
beforeEach(() => {
  kit = new TestKit();
  share = new MemoryShare({ readOnly: true });
  share.putFile('src/film.mkv', Buffer.alloc(5000));
  share.putFile('src/café.srt', 'composed');
  share.putFile('src/cafe\u0301 2.srt', 'decomposed');
  share.putSymlink('lib/relative', '../src/film.mkv');
  share.putSymlink('lib/absolute', '/mnt/dfs/src/./film.mkv');
  share.putSymlink('lib/folder', '../src');
  share.putSymlink('lib/chain', 'folder/film.mkv');
  share.putSymlink('lib/climbs', '../../dfs/src/film.mkv');
  share.putSymlink('lib/outside', '/etc/passwd');
  share.putSymlink('lib/beside', '/mnt/dfs2/src/film.mkv');
  share.putSymlink('lib/above', '../../../../etc/passwd');
  share.putSymlink('lib/dangling', 'nothing');
  share.putSymlink('lib/loop', 'loop');
  share.putSymlink('lib/away', '/elsewhere/folder');
  share.putFile('.torrents/new/show.mkv', Buffer.alloc(700));
  share.putSymlink('.torrents/beside', '../dfs/src/film.mkv');
  share.putSymlink('.torrents/own', 'new/../new/show.mkv');
  share.putSymlink('.torrents/out', '../lib/relative');
  share.putSymlink('shows/one', '/mnt/torrents/new/show.mkv');
  share.putSymlink('shows/two', '/data/torrents/new/show.mkv');
  share.putSymlink('shows/folder', '/mnt/torrents');
});
afterEach(() => kit.end());

interface Entry {
  readonly name: string;
  readonly id: bigint;
  readonly size: number;
  readonly attributes: number;
}

/** All entries of a folder by FileDirectoryInformation, without `.` and `..`. */
async function list(client: RawClient, path: string): Promise<Entry[]> {
  const fileId = await openPath(client, path, [], { desiredAccess: 0x81 });
  const pattern = Buffer.from('*', 'utf16le');
  const body = queryDirectoryRequest.toBuffer(
    {
      informationClass: 38,
      flags: 0,
      fileIndex: 0,
      fileId,
      nameOffset: HEADER_SIZE + queryDirectoryRequest.size,
      nameLength: pattern.length,
      outputBufferLength: 65_536,
    },
    pattern,
  );
  const reply = await client.request(Command.QUERY_DIRECTORY, body);
  const entries: Entry[] = [];
  for (let at = 72; ;) {
    const entry = reply!.packet.subarray(at);
    const name = entry.subarray(80, 80 + entry.readUInt32LE(60)).toString('utf16le');
    const id = entry.readBigUInt64LE(72);
    const size = Number(entry.readBigUInt64LE(40));
    if (!name.startsWith('.')) entries.push({ name, id, size, attributes: entry.readUInt32LE(56) });
    const next = entry.readUInt32LE(0);
    if (next === 0) return entries;
    at += next;
  }
}

const statusOf = async (client: RawClient, path: string, options = 0): Promise<number | undefined> =>
  (await client.request(Command.CREATE, client.createBody(path, [], { options })))?.status;

async function sizeOf(client: RawClient, path: string, options = 0): Promise<number> {
  const reply = await client.request(Command.CREATE, client.createBody(path, [], { options }));
  expect(reply?.status).toBe(Status.SUCCESS);
  return createResponse.decode(reply!.packet, HEADER_SIZE).endOfFile;
}

describe('a share that follows links', () => {
  beforeEach(() => kit.serve(share, {}, { followSymlinks: true, linkRoots }));

  it.each(['relative', 'absolute', 'chain', 'climbs'])('opens what lib\\%s leads to', async (name) => {
    const client = await kit.guest();
    expect(await sizeOf(client, `lib\\${name}`)).toBe(5000);
    // Opening the link itself does not show the link either.
    expect(await sizeOf(client, `lib\\${name}`, CreateOption.OPEN_REPARSE_POINT)).toBe(5000);
  });

  it.each(['outside', 'beside', 'above', 'loop'])('never leaves by lib\\%s', async (name) => {
    const client = await kit.guest();
    expect(await statusOf(client, `lib\\${name}`)).toBe(Status.STOPPED_ON_SYMLINK);
  });

  it('lists what links lead to, and none that lead nowhere', async () => {
    const entries = await list(await kit.guest(), 'lib');
    expect(entries.map(({ name }) => name).sort()).toEqual([
      'absolute',
      'chain',
      'climbs',
      'folder',
      'relative',
    ]);
    for (const { name, size, attributes } of entries) {
      expect(size).toBe(name === 'folder' ? 0 : 5000);
      expect(attributes & FileAttribute.REPARSE_POINT).toBe(0);
      expect((attributes & FileAttribute.DIRECTORY) !== 0).toBe(name === 'folder');
    }
    expect(await list(await kit.guest(), 'lib\\folder')).toHaveLength(3);
  });
});

describe('links to other roots', () => {
  beforeEach(() => kit.serve(share, {}, { followSymlinks: true, linkRoots }));

  it.each([
    ['shows\\one', 700],
    ['shows\\two', 700],
    ['shows\\folder\\new\\show.mkv', 700],
    ['shows\\folder\\own', 700],
    ['shows\\folder\\beside', 5000],
  ])('are followed by the path that each root is known by: %s', async (path, size) => {
    expect(await sizeOf(await kit.guest(), path)).toBe(size);
  });

  it('start where the link is, and not where its root was put', async () => {
    expect(await statusOf(await kit.guest(), 'shows\\folder\\out')).toBe(Status.STOPPED_ON_SYMLINK);
  });
});

describe('a folder that is seen at two places', () => {
  it('has an id for each, and so have those in it; files have one', async () => {
    share.makeDirectories('src/deeper');
    await kit.serve(share, {}, { followSymlinks: true, linkRoots });
    const client = await kit.guest();
    const idOf = async (path: string): Promise<bigint> => {
      const reply = await client.request(
        Command.CREATE,
        client.createBody(path, [{ name: 'QFid', data: Buffer.alloc(0) }]),
      );
      const at = reply!.packet.indexOf('QFid');
      return reply!.packet.readBigUInt64LE(at + 8);
    };
    const idIn = async (folder: string, name: string): Promise<bigint> =>
      (await list(client, folder)).find((entry) => entry.name === name)!.id;
    expect(await idOf('lib\\folder')).not.toBe(await idOf('src'));
    expect(await idOf('lib\\folder\\deeper')).not.toBe(await idOf('src\\deeper'));
    expect(await idOf('lib\\folder\\film.mkv')).toBe(await idOf('src\\film.mkv'));
    // Listings and opens return the same ids.
    expect(await idIn('lib', 'folder')).toBe(await idOf('lib\\folder'));
    expect(await idIn('lib\\folder', 'deeper')).toBe(await idOf('lib\\folder\\deeper'));
    expect(await idIn('', 'src')).toBe(await idOf('src'));
  });
});

describe('UnparsedPathLength', () => {
  const unparsed = async (path: string): Promise<number> => {
    const client = await kit.guest();
    const reply = await client.request(Command.CREATE, client.createBody(path));
    expect(reply?.status).toBe(Status.STOPPED_ON_SYMLINK);
    return reply!.packet.readUInt16LE(HEADER_SIZE + 8 + 14);
  };

  it('counts what the client sent behind the link', async () => {
    await kit.serve(share);
    expect(await unparsed('lib\\away')).toBe(0);
    expect(await unparsed('lib\\away\\a\uf022b')).toBe(2 * '\\ab:'.length);
    // An escaped character has two characters on the wire and one in the name.
    expect(await unparsed('lib\\away\\\uf07e\uf022\\x')).toBe(2 * '\\eb\\x'.length);
    expect(await unparsed('lib\\away\\film:stream')).toBe(2 * '\\film:stream'.length);
  });

  it('does so behind links that the server followed', async () => {
    share.putSymlink('src/out', '/elsewhere');
    share.putSymlink('lib/hop', 'folder/out');
    await kit.serve(share, {}, { followSymlinks: true, linkRoots });
    expect(await unparsed('lib\\folder\\out\\rest')).toBe(2 * '\\rest'.length);
    expect(await unparsed('lib\\hop\\long\\rest')).toBe(2 * '\\long\\rest'.length);
  });
});

describe('a name', () => {
  it('is found however its accents and letters are written', async () => {
    await kit.serve(share);
    const client = await kit.guest();
    for (const name of ['cafe\u0301.srt', 'CAFÉ.SRT', 'café 2.srt', 'CAFE\u0301 2.SRT'])
      expect(await statusOf(client, `src\\${name}`), name).toBe(Status.SUCCESS);
    expect(await statusOf(client, 'src\\cafe.srt')).toBe(Status.OBJECT_NAME_NOT_FOUND);
  });

  it('can be opened as it is listed', async () => {
    const odd = [
      'back\\slash',
      '\uf022literal',
      ':colon',
      '\uf07e\uf022',
      '\uf07eesc',
      'dot.',
      'space ',
      '\x01',
    ];
    for (const name of odd) share.putFile(`odd/${name}`, name);
    await kit.serve(share);
    const client = await kit.guest();
    const listed = (await list(client, 'odd')).map(({ name }) => name);
    expect(listed).toHaveLength(odd.length);
    for (const name of listed) expect(await sizeOf(client, `odd\\${name}`)).toBeGreaterThan(0);
  });
});
