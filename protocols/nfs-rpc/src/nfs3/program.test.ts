import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import { FileType } from '../backend.ts';
import { NfsStatus } from '../status.ts';
import { Nfs3Client, startServer } from '../testing/harness.ts';
import { MemoryBackend } from '../testing/memory-backend.ts';
import { accessShape } from './access.ts';
import { commitShape } from './commit.ts';
import { createShape } from './create.ts';
import { fsinfoShape } from './fsinfo.ts';
import { fsstatShape } from './fsstat.ts';
import { getattrShape } from './getattr.ts';
import { linkShape } from './link.ts';
import { lookupShape } from './lookup.ts';
import { mkdirShape } from './mkdir.ts';
import { mknodShape } from './mknod.ts';
import { pathconfShape } from './pathconf.ts';
import { readShape } from './read.ts';
import { readdirShape } from './readdir.ts';
import { readdirplusShape } from './readdirplus.ts';
import { readlinkShape } from './readlink.ts';
import { removeShape, rmdirShape } from './remove.ts';
import { renameShape } from './rename.ts';
import { setattrShape } from './setattr.ts';
import { symlinkShape } from './symlink.ts';
import { writeShape } from './write.ts';

const backend = new MemoryBackend();
const bugs: unknown[] = [];
let client: Nfs3Client;
let close: () => Promise<void>;
const root = backend.handle(backend.root);
const verifier = Buffer.alloc(8);

beforeAll(async () => {
  const { server, address } = await startServer({ hooks: { bug: (error) => bugs.push(error) } }, backend);
  client = await Nfs3Client.open(address);
  close = async () => {
    client.close();
    await server.close({ timeoutMs: 1000 });
  };
});
afterAll(() => close());
beforeEach(() => {
  bugs.length = 0;
  backend.changes = backend;
  backend.attributesCached = true;
  for (const name of [...backend.root.children.keys()]) backend.root.children.delete(name);
});

const fileOf = (name: string, text: string): Buffer =>
  backend.handle(backend.add(backend.root, name, FileType.regular, Buffer.from(text)));

describe('NFSv3 procedures that look', () => {
  it('1 GETATTR', async () => {
    const file = backend.add(backend.root, 'f', FileType.regular, Buffer.from('12345'));
    const { attributes } = await client.ok(getattrShape, { object: backend.handle(file) });
    expect(attributes).toEqual(backend.getAttributes(file));
    expect(await client.call(getattrShape, { object: Buffer.alloc(4) })).toEqual({
      status: NfsStatus.BADHANDLE,
    });
  });

  it('3 LOOKUP, with . and ..', async () => {
    const directory = backend.add(backend.root, 'd', FileType.directory);
    const file = backend.add(directory, 'naïve'.normalize(), FileType.regular);
    const handle = backend.handle(directory);
    const found = await client.ok(lookupShape, { what: { directory: handle, name: 'naïve' } });
    expect(found).toEqual({
      object: backend.handle(file),
      attributes: backend.getAttributes(file),
      directoryAttributes: backend.getAttributes(directory),
    });
    const self = await client.ok(lookupShape, { what: { directory: handle, name: '.' } });
    const above = await client.ok(lookupShape, { what: { directory: handle, name: '..' } });
    const top = await client.ok(lookupShape, { what: { directory: root, name: '..' } });
    expect([self.object, above.object, top.object]).toEqual([handle, root, root]);
    const inFile = await client.call(lookupShape, { what: { directory: found.object, name: '..' } });
    expect(inFile.status).toBe(NfsStatus.NOTDIR);
    expect(await client.call(lookupShape, { what: { directory: handle, name: 'no' } })).toEqual({
      status: NfsStatus.NOENT,
      attributes: backend.getAttributes(directory),
    });
  });

  it.each([
    ['', NfsStatus.ACCES],
    ['a/b', NfsStatus.ACCES],
    ['a\0', NfsStatus.ACCES],
    ['x'.repeat(256), NfsStatus.NAMETOOLONG],
    ['x'.repeat(100_000), NfsStatus.NAMETOOLONG],
    ['x'.repeat(255), NfsStatus.NOENT],
  ])('names that cannot be: %#', async (name, status) => {
    expect((await client.call(lookupShape, { what: { directory: root, name } })).status).toBe(status);
  });

  it('4 ACCESS, 5 READLINK', async () => {
    const { access } = await client.ok(accessShape, { object: root, access: 0xffff_ffff });
    expect(access).toBe(0x3f);
    const link = backend.handle(backend.makeSymlink(backend.root, 'l', 'to/there', {}));
    expect((await client.ok(readlinkShape, { symlink: link })).target).toBe('to/there');
    expect((await client.call(readlinkShape, { symlink: root })).status).toBe(NfsStatus.INVAL);
  });

  it('6 READ, to the end and beyond it', async () => {
    const file = fileOf('f', 'hello');
    const read = (offset: number, count: number) => client.ok(readShape, { file, offset, count });
    const attributes = backend.getAttributes(backend.resolve(file));
    expect(await read(0, 3)).toEqual({ attributes, count: 3, eof: false, data: Buffer.from('hel') });
    expect(await read(3, 100)).toEqual({ attributes, count: 2, eof: true, data: Buffer.from('lo') });
    expect(await read(100, 100)).toMatchObject({ count: 0, eof: true });
    expect(await read(Number.MAX_SAFE_INTEGER, 100)).toMatchObject({ count: 0, eof: true });
    backend.attributesCached = false;
    expect(await read(1, 3)).toEqual({
      attributes: undefined,
      count: 3,
      eof: false,
      data: Buffer.from('ell'),
    });
    expect((await client.call(readShape, { file: root, offset: 0, count: 1 })).status).toBe(NfsStatus.ISDIR);
  });

  it('6 READ clamps to 1 MiB', async () => {
    const data = Buffer.alloc(3 << 20, 'abc');
    const file = backend.handle(backend.add(backend.root, 'big', FileType.regular, data));
    const answer = await client.ok(readShape, { file, offset: 1, count: 0xffff_ffff });
    expect(answer).toMatchObject({ count: 1 << 20, eof: false });
    expect(answer.data.equals(data.subarray(1, 1 + (1 << 20)))).toBe(true);
  });

  it('18 FSSTAT, 19 FSINFO, 20 PATHCONF', async () => {
    const attributes = backend.getAttributes(backend.root);
    expect(await client.ok(fsstatShape, { root })).toEqual({ attributes, ...backend.fsStat() });
    expect(await client.ok(fsinfoShape, { root })).toMatchObject({
      readMaximum: 1 << 20,
      writePreferred: 1 << 20,
      directoryPreferred: 1 << 16,
      properties: 0x1b,
    });
    expect(await client.ok(pathconfShape, { object: root })).toEqual({ attributes, ...backend.pathConf() });
  });

  it('answers SERVERFAULT to what is no NfsError, and tells the owner', async () => {
    const broken = new MemoryBackend();
    const odd = new Error('odd');
    broken.getAttributes = () => {
      throw odd;
    };
    broken.fsStat = () => Promise.reject(odd) as never;
    broken.attributesCached = false;
    const { server, address } = await startServer({ hooks: { bug: (error) => bugs.push(error) } }, broken);
    const other = await Nfs3Client.open(address);
    expect(await other.call(getattrShape, { object: root })).toEqual({ status: NfsStatus.SERVERFAULT });
    expect(await other.call(fsstatShape, { root })).toMatchObject({ status: NfsStatus.SERVERFAULT });
    expect(bugs).toEqual([odd, odd]);
    other.close();
    await server.close();
  });
});

describe('NFSv3 directories', () => {
  const fill = (count: number): string[] =>
    Array.from({ length: count }, (_, index) => {
      const name = `entry-${index}`;
      backend.add(backend.root, name, FileType.regular);
      return name;
    });

  async function listPlain(count: number): Promise<string[]> {
    const names: string[] = [];
    for (let cookie = 0, eof = false; !eof;) {
      const page = await client.ok(readdirShape, { directory: root, cookie, verifier, count });
      names.push(...page.entries.map((entry) => entry.name));
      cookie = page.entries.at(-1)?.cookie ?? cookie;
      ({ eof } = page);
    }
    return names;
  }

  it('16 READDIR: pages of any size hold every entry once', async () => {
    const names = ['.', '..', ...fill(50)];
    for (const count of [140, 200, 1000, 1 << 20]) expect(await listPlain(count)).toEqual(names);
  });

  it('16 READDIR: never more than asked for, TOOSMALL when nothing fits, eof when nothing is left', async () => {
    const names = fill(5);
    const last = backend.root.children.get(names[4]!)!.cookie;
    const call = (cookie: number, count: number, byteVerifier = verifier) =>
      client.call(readdirShape, { directory: root, cookie, verifier: byteVerifier, count });
    expect((await call(0, 100)).status).toBe(NfsStatus.TOOSMALL);
    expect((await call(0, 0)).status).toBe(NfsStatus.TOOSMALL);
    expect(await call(last, 200)).toMatchObject({ status: 0, entries: [], eof: true });
    expect(await call(Number.MAX_SAFE_INTEGER, 200)).toMatchObject({ entries: [], eof: true });
    expect((await call(3, 200, Buffer.alloc(8, 9))).status).toBe(0);
    const file = fileOf('f', '');
    expect(
      (await client.call(readdirShape, { directory: file, cookie: 0, verifier, count: 500 })).status,
    ).toBe(NfsStatus.NOTDIR);
  });

  it('16 READDIR: goes on behind an entry that is gone', async () => {
    fill(4);
    const { cookie } = backend.root.children.get('entry-1')!;
    backend.remove(backend.root, 'entry-1');
    const page = await client.ok(readdirShape, { directory: root, cookie, verifier, count: 4096 });
    expect(page.entries.map((entry) => entry.name)).toEqual(['entry-2', 'entry-3']);
  });

  it('17 READDIRPLUS: names, attributes and handles within both budgets', async () => {
    fill(40);
    const seen: string[] = [];
    for (let cookie = 0, eof = false; !eof;) {
      const args = { directory: root, cookie, verifier, directoryCount: 300, maximumCount: 4096 };
      const page = await client.ok(readdirplusShape, args);
      expect(page.entries.length).toBeLessThanOrEqual(Math.ceil(300 / 24) + 1);
      for (const entry of page.entries) {
        const node = backend.resolve(entry.handle!);
        expect(entry.attributes).toEqual(backend.getAttributes(node));
        seen.push(entry.name);
      }
      cookie = page.entries.at(-1)!.cookie;
      ({ eof } = page);
    }
    expect(seen).toEqual(['.', '..', ...backend.root.children.keys()]);
    const small = { directory: root, cookie: 0, verifier, directoryCount: 512, maximumCount: 150 };
    expect((await client.call(readdirplusShape, small)).status).toBe(NfsStatus.TOOSMALL);
    const hint = { directory: root, cookie: 0, verifier, directoryCount: 0, maximumCount: 4096 };
    expect((await client.ok(readdirplusShape, hint)).entries).toHaveLength(1);
  });

  it('17 READDIRPLUS: an entry that cannot be looked at has neither attributes nor handle', async () => {
    fill(3);
    const list = backend.list.bind(backend);
    backend.list = (directory) => ({
      ...list(directory),
      load: () => Promise.resolve(),
      nodeAt: () => undefined,
    });
    const args = { directory: root, cookie: 2, verifier, directoryCount: 4096, maximumCount: 4096 };
    const { entries, eof } = await client.ok(readdirplusShape, args);
    backend.list = list;
    expect(eof).toBe(true);
    expect(entries).toHaveLength(3);
    expect(entries[0]).toMatchObject({ attributes: undefined, handle: undefined, name: 'entry-0' });
  });
});

describe('NFSv3 procedures that change', () => {
  it('2 SETATTR, with its guard', async () => {
    const object = fileOf('f', 'abc');
    const before = backend.getAttributes(backend.resolve(object));
    const { wcc } = await client.ok(setattrShape, {
      object,
      attributes: { size: 1n, mode: 0o600 },
      guard: before.ctime,
    });
    expect(wcc.before).toEqual({ size: 3, mtime: before.mtime, ctime: before.ctime });
    expect(wcc.after).toMatchObject({ size: 1, mode: 0o600 });
    const stale = await client.call(setattrShape, { object, attributes: {}, guard: before.ctime });
    expect(stale.status).toBe(NfsStatus.NOT_SYNC);
  });

  it('8 CREATE, 7 WRITE, 21 COMMIT', async () => {
    const where = { directory: root, name: 'new' };
    const { handle, wcc } = await client.ok(createShape, {
      where,
      how: { mode: 'guarded', attributes: { mode: 0o640 } },
    });
    expect(wcc.after).toEqual(backend.getAttributes(backend.root));
    const again = await client.call(createShape, { where, how: { mode: 'guarded', attributes: {} } });
    expect(again.status).toBe(NfsStatus.EXIST);
    const exclusive = {
      where: { directory: root, name: 'x' },
      how: { mode: 'exclusive' as const, verifier },
    };
    expect((await client.ok(createShape, exclusive)).handle).toEqual(
      (await client.ok(createShape, exclusive)).handle,
    );

    const file = handle!;
    const data = Buffer.from('payload');
    const written = await client.ok(writeShape, { file, offset: 2, count: 7, stable: 0, data });
    expect(written).toMatchObject({ count: 7, committed: 0, verifier: backend.writeVerifier });
    const far = { file, offset: Number.MAX_SAFE_INTEGER, count: 7, stable: 2 as const, data };
    expect((await client.call(writeShape, far)).status).toBe(NfsStatus.FBIG);
    expect((await client.ok(commitShape, { file, offset: 0n, count: 0 })).verifier).toEqual(
      backend.writeVerifier,
    );
    expect(backend.resolve(file).data.toString()).toBe('\0\0payload');
  });

  it('9 MKDIR, 10 SYMLINK, 11 MKNOD, 12 REMOVE, 13 RMDIR', async () => {
    const where = (name: string) => ({ directory: root, name });
    await client.ok(mkdirShape, { where: where('d'), attributes: { mode: 0o700 } });
    await client.ok(symlinkShape, { where: where('s'), attributes: {}, target: 'd' });
    await client.ok(mknodShape, {
      where: where('p'),
      what: { type: 7, attributes: {}, rdevMajor: 0, rdevMinor: 0 },
    });
    const odd = { where: where('o'), what: { type: 1 as const, attributes: {}, rdevMajor: 0, rdevMinor: 0 } };
    expect((await client.call(mknodShape, odd)).status).toBe(NfsStatus.BADTYPE);
    expect([...backend.root.children.keys()]).toEqual(['d', 's', 'p']);
    expect((await client.call(removeShape, { object: where('d') })).status).toBe(NfsStatus.ISDIR);
    await client.ok(removeShape, { object: where('s') });
    await client.ok(rmdirShape, { object: where('d') });
    expect([...backend.root.children.keys()]).toEqual(['p']);
    expect((await client.call(rmdirShape, { object: where('.') })).status).toBe(NfsStatus.INVAL);
    expect((await client.call(rmdirShape, { object: where('..') })).status).toBe(NfsStatus.EXIST);
    expect((await client.call(mkdirShape, { where: where('..'), attributes: {} })).status).toBe(
      NfsStatus.EXIST,
    );
    expect((await client.call(removeShape, { object: where('.') })).status).toBe(NfsStatus.INVAL);
  });

  it('14 RENAME, 15 LINK', async () => {
    const file = fileOf('a', 'x');
    const directory = backend.handle(backend.add(backend.root, 'd', FileType.directory));
    const linked = await client.ok(linkShape, { file, link: { directory, name: 'hard' } });
    expect(linked.attributes?.nlink).toBe(2);
    const moved = await client.ok(renameShape, {
      from: { directory: root, name: 'a' },
      to: { directory, name: 'b' },
    });
    expect(moved.fromWcc.after?.fileidLow).toBe(1);
    expect(moved.toWcc.before).toBeDefined();
    expect([...backend.resolve(directory).children.keys()]).toEqual(['hard', 'b']);
    const dots = { from: { directory: root, name: '.' }, to: { directory, name: 'b' } };
    expect((await client.call(renameShape, dots)).status).toBe(NfsStatus.INVAL);
  });

  it('a read-only backend answers ROFS with the attributes of what was named, once the handles are good', async () => {
    const file = fileOf('f', 'abc');
    backend.changes = undefined;
    const where = { directory: root, name: 'n' };
    const after = backend.getAttributes(backend.root);
    const before = { size: after.size, mtime: after.mtime, ctime: after.ctime };
    const wcc = { before, after };
    const status = NfsStatus.ROFS;
    const data = Buffer.from('x');
    expect(await client.call(createShape, { where, how: { mode: 'unchecked', attributes: {} } })).toEqual({
      status,
      wcc,
    });
    expect(await client.call(mkdirShape, { where, attributes: {} })).toEqual({ status, wcc });
    expect(await client.call(symlinkShape, { where, attributes: {}, target: 't' })).toEqual({ status, wcc });
    const what = { type: 7 as const, attributes: {}, rdevMajor: 0, rdevMinor: 0 };
    expect(await client.call(mknodShape, { where, what })).toEqual({ status, wcc });
    expect(await client.call(removeShape, { object: where })).toEqual({ status, wcc });
    expect(await client.call(rmdirShape, { object: where })).toEqual({ status, wcc });
    expect(await client.call(renameShape, { from: where, to: where })).toEqual({
      status,
      fromWcc: wcc,
      toWcc: wcc,
    });
    const attributes = backend.getAttributes(backend.resolve(file));
    expect(await client.call(linkShape, { file, link: where })).toEqual({
      status,
      attributes,
      directoryWcc: wcc,
    });
    for (const answer of [
      await client.call(setattrShape, { object: file, attributes: {}, guard: undefined }),
      await client.call(writeShape, { file, offset: 0, count: 1, stable: 2, data }),
      await client.call(commitShape, { file, offset: 0n, count: 0 }),
    ]) {
      expect(answer).toMatchObject({ status, wcc: { after: attributes } });
    }
    const unknown = { directory: Buffer.alloc(8), name: 'n' };
    expect(await client.call(removeShape, { object: unknown })).toEqual({
      status: NfsStatus.BADHANDLE,
      wcc: { before: undefined, after: undefined },
    });
    expect(bugs).toEqual([]);
  });
});
