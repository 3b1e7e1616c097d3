import { beforeEach, describe, expect, it } from 'vitest';
import { type CallContext, type ShareChanges, StatusError } from '../backend.ts';
import { FileAttribute } from '../wire/constants.ts';
import { Status, type NtStatus } from '../wire/status.ts';
import { MemoryShare, type MemoryShareOptions } from './memory-share.ts';
import type { MemoryNode } from './node.ts';

const call: CallContext = {
  caller: { userName: 'test', guest: false, address: '127.0.0.1' },
  signal: new AbortController().signal,
};

let clock = 1000n;
let share: MemoryShare;
let changes: ShareChanges<MemoryNode>;

function fresh(options: MemoryShareOptions = {}): void {
  share = new MemoryShare({ clock: () => clock, ...options });
  changes = share.changes!;
}

async function expectStatus(status: NtStatus, run: () => unknown): Promise<void> {
  await expect((async () => await run())()).rejects.toMatchObject({ name: 'StatusError', status });
}

const lookup = (directory: MemoryNode, name: string): MemoryNode | undefined =>
  share.lookup(directory, name, false, call) as MemoryNode | undefined;

async function contentOf(node: MemoryNode): Promise<string> {
  const open = await share.open(node, { write: false }, call);
  const target = Buffer.alloc(1000);
  const length = await open.read(0, target, call);
  open.close();
  return target.toString('utf8', 0, length);
}

beforeEach(() => {
  clock = 1000n;
  fresh();
});

describe('names', () => {
  it('gives the same node for the same object, whatever the case', () => {
    const node = share.putFile('Films/Alien.mkv', 'x');
    const films = lookup(share.root, 'fILMS')!;
    expect(lookup(films, 'ALIEN.MKV')).toBe(node);
    expect(share.lookup(films, 'ALIEN.MKV', true, call)).toBeUndefined();
    expect(share.parent(node)).toEqual({ directory: films, name: 'Alien.mkv' });
    expect(share.parent(share.root)).toBeUndefined();
  });

  it('refuses a name that is taken in another case, unless the share is case-sensitive', async () => {
    share.putFile('a', '');
    await expectStatus(Status.OBJECT_NAME_COLLISION, () =>
      changes.create(share.root, 'A', { kind: 'file', dosAttributes: 0 }, call),
    );
    fresh({ caseSensitive: true });
    const lower = share.putFile('a', '');
    const upper = await changes.create(share.root, 'A', { kind: 'file', dosAttributes: 0 }, call);
    expect(share.lookup(share.root, 'a', false, call)).toBe(lower);
    expect(share.lookup(share.root, 'A', false, call)).toBe(upper);
  });

  it('lists in one order, and a listing stays as it was', async () => {
    for (const name of ['b', 'C', 'a']) share.putFile(name, name);
    const listing = await share.list(share.root, call);
    await changes.remove(lookup(share.root, 'b')!, call);
    share.putFile('aa', '');
    expect([0, 1, 2].map((index) => listing.nameAt(index))).toEqual(['a', 'b', 'C']);
    expect([0, 1, 2].map((index) => listing.indexAfter(listing.placeAt(index)))).toEqual([1, 2, 3]);
    expect(['', 'a', 'aa', 'B', 'd'].map((place) => listing.indexAfter(place))).toEqual([0, 1, 1, 1, 3]);
    await listing.load(0, 3);
    expect(listing.attributesAt(0)?.size).toBe(1);
    expect(listing.nodeAt(1)).toBeUndefined();
    expect((await share.list(share.root, call)).length).toBe(3);
    await expectStatus(Status.NOT_A_DIRECTORY, () => share.list(share.putFile('f', ''), call));
  });
});

describe('attributes', () => {
  it('moves times as NTFS does', async () => {
    const directory = share.makeDirectories('d');
    const file = share.putFile('d/f', 'abc');
    const before = file.attributes();
    clock = 2000n;
    const open = await share.open(file, { write: true }, call);
    await changes.write(open, 3, Buffer.from('def'), call);
    const written = file.attributes();
    expect(written).toMatchObject({
      creationTime: before.creationTime,
      lastWriteTime: 2000n,
      changeTime: 2000n,
    });
    expect(written).toMatchObject({ size: 6, allocationSize: 4096, dosAttributes: FileAttribute.ARCHIVE });
    expect(directory.attributes().lastWriteTime).toBeLessThan(2000n);
    clock = 3000n;
    await changes.setAttributes(
      file,
      { lastWriteTime: 7n, dosAttributes: FileAttribute.HIDDEN | 0x10 },
      call,
    );
    expect(file.attributes()).toMatchObject({ lastWriteTime: 7n, changeTime: 3000n, dosAttributes: 2 });
    clock = 4000n;
    await changes.rename(file, share.root, 'g', false, call);
    expect(file.attributes()).toMatchObject({ lastWriteTime: 7n, changeTime: 4000n });
    expect(directory.attributes().lastWriteTime).toBe(4000n);
    expect(share.root.attributes().lastWriteTime).toBe(4000n);
  });

  it('counts what is stored for sparse files only', async () => {
    const file = share.putFile('f', '');
    await changes.truncate(file, 10_000, call);
    expect(file.attributes().allocationSize).toBe(12_288);
    await changes.setAttributes(file, { dosAttributes: FileAttribute.SPARSE_FILE }, call);
    expect(file.attributes()).toMatchObject({ size: 10_000, allocationSize: 0 });
    await expectStatus(Status.INVALID_PARAMETER, () => changes.truncate(file, 2 ** 53, call));
  });

  it('has ids that are never zero and never used again', async () => {
    const first = share.putFile('f', '');
    await changes.remove(first, call);
    const second = share.putFile('f', '');
    expect(new Set([share.root.id, first.id, second.id]).size).toBe(3);
    expect(share.root.id).not.toBe(0n);
  });
});

describe('changes', () => {
  it('replaces a file only when asked to, and never a directory or a read-only file', async () => {
    const source = share.putFile('source', 'new');
    const target = share.putFile('target', 'old');
    share.makeDirectories('directory');
    await expectStatus(Status.OBJECT_NAME_COLLISION, () =>
      changes.rename(source, share.root, 'TARGET', false, call),
    );
    await expectStatus(Status.ACCESS_DENIED, () =>
      changes.rename(source, share.root, 'directory', true, call),
    );
    await changes.setAttributes(target, { dosAttributes: FileAttribute.READONLY }, call);
    await expectStatus(Status.ACCESS_DENIED, () => changes.rename(source, share.root, 'target', true, call));
    await changes.setAttributes(target, { dosAttributes: 0 }, call);
    await changes.rename(source, share.root, 'Target', true, call);
    expect((await share.list(share.root, call)).length).toBe(2);
    expect(await contentOf(lookup(share.root, 'target')!)).toBe('new');
    await expectStatus(Status.FILE_DELETED, () => changes.rename(target, share.root, 'again', false, call));
  });

  it('renames to another case, and refuses to move a directory into itself', async () => {
    const file = share.putFile('a/b/name', '');
    await changes.rename(file, share.parent(file)!.directory, 'NAME', false, call);
    expect(share.parent(file)?.name).toBe('NAME');
    const a = lookup(share.root, 'a')!;
    await expectStatus(Status.INVALID_PARAMETER, () => changes.rename(a, lookup(a, 'b')!, 'c', false, call));
    await expectStatus(Status.ACCESS_DENIED, () => changes.rename(share.root, a, 'root', false, call));
  });

  it('keeps a removed file for those that have it open, then frees its memory', async () => {
    const file = share.putFile('f', 'content');
    const open = await share.open(file, { write: true }, call);
    const used = (await share.space(call)).freeBytes;
    await changes.remove(file, call);
    expect(await open.read(0, Buffer.alloc(20), call)).toBe(7);
    expect(share.parent(file)).toEqual({ directory: share.root, name: 'f' });
    expect((await share.space(call)).freeBytes).toBe(used);
    open.close();
    open.close();
    expect(await share.space(call)).toMatchObject({ freeBytes: 256 * 1024 * 1024 });
    await expectStatus(Status.OBJECT_NAME_NOT_FOUND, () => share.open(file, { write: false }, call));
  });

  it('refuses to remove a directory that is not empty, or to put things below a removed one', async () => {
    const file = share.putFile('d/f', '');
    const directory = lookup(share.root, 'd')!;
    await expectStatus(Status.DIRECTORY_NOT_EMPTY, () => changes.remove(directory, call));
    await changes.remove(file, call);
    await changes.remove(directory, call);
    await expectStatus(Status.OBJECT_PATH_NOT_FOUND, () =>
      changes.create(directory, 'late', { kind: 'file', dosAttributes: 0 }, call),
    );
  });

  it('has hard links: one object, and the name it was found by last is the one that goes', async () => {
    const file = share.putFile('one', 'x');
    await changes.link(file, share.root, 'two', false, call);
    expect(file.attributes().links).toBe(2);
    expect(share.parent(file)?.name).toBe('one');
    expect(lookup(share.root, 'TWO')).toBe(file);
    expect(share.parent(file)?.name).toBe('two');
    await changes.remove(file, call);
    expect(lookup(share.root, 'two')).toBeUndefined();
    expect(lookup(share.root, 'one')).toBe(file);
    expect(await contentOf(file)).toBe('x');
    await expectStatus(Status.FILE_IS_A_DIRECTORY, () =>
      changes.link(share.root, share.root, 'r', false, call),
    );
  });

  it('is bounded', async () => {
    fresh({ capacity: 65_536 });
    const file = share.putFile('f', Buffer.alloc(65_536));
    const open = await share.open(file, { write: true }, call);
    await expectStatus(Status.DISK_FULL, () => changes.write(open, 65_536, Buffer.alloc(1), call));
    expect(file.attributes().size).toBe(65_536);
  });

  it('leaves them away on a read-only share', async () => {
    fresh({ readOnly: true });
    const file = share.putFile('f', 'x');
    expect(share.changes).toBeUndefined();
    await expectStatus(Status.MEDIA_WRITE_PROTECTED, () => share.open(file, { write: true }, call));
    expect(await contentOf(file)).toBe('x');
  });

  it('lets only a writing open write', async () => {
    const open = await share.open(share.putFile('f', ''), { write: false }, call);
    await expectStatus(Status.ACCESS_DENIED, () => changes.write(open, 0, Buffer.from('x'), call));
  });
});

describe('stores', () => {
  it('keeps streams beside the content, with the identity of their file', async () => {
    const streams = changes.streams!;
    const file = share.putFile('f', 'base');
    const stream = await streams.create(file, 'Meta');
    const open = await share.open(stream, { write: true }, call);
    await changes.write(open, 0, Buffer.from('stream'), call);
    expect(await streams.lookup(file, 'mETA')).toBe(stream);
    expect(await streams.list(file)).toEqual([{ name: 'Meta', size: 6, allocationSize: 4096 }]);
    expect(stream.attributes()).toMatchObject({ id: file.id, size: 6, lastWriteTime: file.lastWriteTime });
    expect(file.attributes().size).toBe(4);
    await expectStatus(Status.OBJECT_NAME_COLLISION, () => streams.create(file, 'META'));
    await streams.rename(stream, 'meta', false);
    expect(streams.owner(stream)).toEqual({ node: file, name: 'meta' });
    expect(streams.owner(file)).toBeUndefined();
    await streams.remove(stream);
    expect(await streams.list(file)).toEqual([]);
    expect(await open.read(0, Buffer.alloc(9), call)).toBe(6);
    open.close();
    await expectStatus(Status.FILE_DELETED, () => streams.remove(stream));
  });

  it('frees the streams of a removed file', async () => {
    const file = share.putFile('f', 'base');
    const open = await share.open(await changes.streams!.create(file, 's'), { write: true }, call);
    await changes.write(open, 0, Buffer.from('stream'), call);
    await changes.remove(file, call);
    open.close();
    expect((await share.space(call)).freeBytes).toBe(256 * 1024 * 1024);
  });

  it('replaces extended attributes without regard to case and drops empty ones', async () => {
    const attributes = changes.extendedAttributes!;
    const file = share.putFile('f', '');
    await attributes.set(file, 'Name', 0, Buffer.from('1'));
    await attributes.set(file, 'NAME', 0x80, Buffer.from('2'));
    await attributes.set(file, 'absent', 0, Buffer.alloc(0));
    expect(await attributes.list(file)).toEqual([{ name: 'NAME', flags: 0x80, value: Buffer.from('2') }]);
    await expectStatus(Status.EA_TOO_LARGE, () => attributes.set(file, 'big', 0, Buffer.alloc(65_530)));
    await attributes.set(file, 'name', 0, Buffer.alloc(0));
    expect(await attributes.list(file)).toEqual([]);
  });

  it('keeps a copy of the security descriptor', async () => {
    const file = share.putFile('f', '');
    const value = Buffer.from('descriptor');
    await changes.securityDescriptors!.set(file, value);
    value.fill(0);
    expect(await changes.securityDescriptors!.get(file)).toEqual(Buffer.from('descriptor'));
    await expectStatus(Status.INSUFFICIENT_RESOURCES, () =>
      changes.securityDescriptors!.set(file, Buffer.alloc(65_537)),
    );
  });

  it('has symlinks', async () => {
    const link = share.putSymlink('d/link', '../target');
    expect(await share.readlink(link, call)).toBe('../target');
    expect(link.attributes()).toMatchObject({ kind: 'symlink', size: 9 });
    await expectStatus(Status.NOT_A_REPARSE_POINT, () => share.readlink(share.root, call));
  });
});

describe('watch', () => {
  it('tells of changes below, with the names they happened to', async () => {
    const seen: string[] = [];
    const directory = share.makeDirectories('d');
    const stop = share.watch(share.root, true, (event) => seen.push(`${event.action} ${event.name}`));
    let flat = 0;
    share.watch(share.root, false, () => flat++);
    const file = await changes.create(directory, 'f', { kind: 'file', dosAttributes: 0 }, call);
    const open = await share.open(file, { write: true }, call);
    await changes.write(open, 0, Buffer.from('x'), call);
    await changes.rename(file, directory, 'g', false, call);
    await changes.rename(file, share.root, 'h', false, call);
    await changes.remove(file, call);
    expect(seen).toEqual([
      'added f',
      'modified f',
      'renamed-old f',
      'renamed-new g',
      'modified g',
      'removed g',
      'added h',
      'modified h',
      'removed h',
    ]);
    expect(flat).toBe(3);
    stop();
    await changes.remove(directory, call);
    expect(seen.length).toBe(9);
    expect(flat).toBe(4);
  });
});

describe('delay', () => {
  it('makes operations wait, and gives up when the caller does', async () => {
    let release = (): void => undefined;
    fresh({
      delay: (operation) =>
        operation === 'lookup'
          ? new Promise((resolve) => {
              release = resolve;
            })
          : undefined,
    });
    share.putFile('f', '');
    const first = share.lookup(share.root, 'f', false, call);
    release();
    expect(await first).toBeDefined();
    const abort = new AbortController();
    const second = Promise.resolve(share.lookup(share.root, 'f', false, { ...call, signal: abort.signal }));
    abort.abort();
    await expect(second).rejects.toEqual(new StatusError(Status.CANCELLED));
    await expectStatus(Status.CANCELLED, () =>
      share.lookup(share.root, 'f', false, { ...call, signal: abort.signal }),
    );
  });
});
