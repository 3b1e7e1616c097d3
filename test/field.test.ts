/** Faults that users of other gateways reported, each on the file system it occurred with. odd-tree.test.ts has more kinds. */
import { chmodSync, copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { makeContent } from '../src/demo/content.ts';
import { NfsStatus } from '../protocols/nfs-rpc/src/status.ts';
import { unmountPath } from '../src/demo/mounts.ts';
import { NfsFailure } from './kit/nfs.ts';
import type { Consumer } from './zoo/clients.ts';
import { Site } from './zoo/daemon.ts';
import { OddTree } from './zoo/odd-tree.ts';
import { serve, sourceState, undo } from './zoo/visit.ts';

const cleanUp: (() => unknown)[] = [];
afterEach(() => undo(cleanUp));

function makeSite(name: string): Site {
  const site = new Site(name);
  cleanUp.push(() => site.dispose());
  return site;
}

/** A folder of the site with files of these sizes. */
function folderWith(site: Site, name: string, sizes: Readonly<Record<string, number>>): string {
  const folder = site.make(name);
  for (const [file, size] of Object.entries(sizes))
    writeFileSync(join(folder, file), makeContent(file, 0, size));
  return folder;
}

describe('kinds of entries', () => {
  it('sshfs that follows symlinks lists its root without them', async () => {
    const site = makeSite('sshfs');
    const folder = folderWith(site, 'source', { 'a.mkv': 70_000 });
    symlinkSync('a.mkv', join(folder, 'link.mkv'));
    const wrapper = site.path('sftp');
    writeFileSync(wrapper, '#!/bin/sh\nexec /usr/lib/openssh/sftp-server\n', { mode: 0o755 });
    const options = `follow_symlinks,allow_other,ssh_command=${wrapper}`;
    await site.mount('sshfs', ['-f', '-o', options, `nowhere:${folder}`, site.mountpoint]);
    const { consumers } = await serve(site.mountpoint, cleanUp);
    for (const consumer of consumers) {
      const entries = await consumer.list('/');
      expect(entries.map(({ name, type }) => `${name} ${type}`)).toEqual(['a.mkv file', 'link.mkv file']);
      expect((await consumer.whole('/link.mkv')).equals(readFileSync(join(folder, 'a.mkv')))).toBe(true);
    }
  });

  it('mergerfs that follows symlinks lists links and looks up what they lead to', async () => {
    const site = makeSite('mergerfs');
    const folder = folderWith(site, 'source', { 'real.mkv': 1_000_000 });
    mkdirSync(join(folder, 'dir'));
    copyFileSync(join(folder, 'real.mkv'), join(folder, 'dir/in.mkv'));
    symlinkSync('real.mkv', join(folder, 'link.mkv'));
    symlinkSync('dir', join(folder, 'linkdir'));
    await site.mount('mergerfs', ['-f', '-o', 'allow_other,follow-symlinks=all', folder, site.mountpoint]);
    const { consumers } = await serve(site.mountpoint, cleanUp);
    const expected = ['dir directory', 'link.mkv file', 'linkdir directory', 'real.mkv file'];
    // Twice, so that each protocol also lists after the other one's lookups.
    for (const consumer of [...consumers, ...consumers]) {
      const entries = await consumer.list('/');
      expect(entries.map(({ name, type }) => `${name} ${type}`)).toEqual(expected);
      expect((await consumer.list('/linkdir')).map(({ name }) => name)).toEqual(['in.mkv']);
      expect((await consumer.whole('/link.mkv')).equals(readFileSync(join(folder, 'real.mkv')))).toBe(true);
    }
  });
});

describe('daemons that pass O_DIRECT on to a disk', () => {
  const sizes = { 'small.srt': 6, 'odd.mkv': 1_000_000, 'tail.mkv': 5_000_001 };
  const daemons = {
    mergerfs: ['mergerfs', '-f', '-o', 'allow_other,cache.files=partial,dropcacheonclose=true'],
    'unionfs-fuse': ['unionfs', '-f', '-o', 'allow_other'],
  } as const;
  for (const [name, [command, ...args]] of Object.entries(daemons)) {
    it(`${name}: small files, odd sizes and tails are read, at the first try and at the second`, async () => {
      const site = makeSite(command);
      const folder = folderWith(site, 'source', sizes);
      const branch = command === 'unionfs' ? `${folder}=RO` : folder;
      await site.mount(command, [...args, branch, site.mountpoint]);
      const { consumers } = await serve(site.mountpoint, cleanUp);
      for (const consumer of consumers) {
        const tail = await consumer.tail('/tail.mkv', sizes['tail.mkv'] - 65_536);
        expect(tail.equals(readFileSync(join(folder, 'tail.mkv')).subarray(-65_536))).toBe(true);
        for (const file of ['small.srt', 'small.srt', 'odd.mkv', 'tail.mkv'])
          expect((await consumer.whole(`/${file}`)).equals(readFileSync(join(folder, file)))).toBe(true);
      }
    });
  }
});

describe('mounts in an export', () => {
  it('a FUSE mount inside the exported one is a folder with its files', async () => {
    const site = makeSite('nested');
    const outer = await OddTree.start(site);
    const inner = await OddTree.start(site, join(outer.mountpoint, 'sizes'));
    const { consumers } = await serve(outer.mountpoint, cleanUp);
    for (const consumer of consumers) {
      expect((await consumer.list('/')).find(({ name }) => name === 'sizes')?.type).toBe('directory');
      expect(await consumer.list('/sizes')).toHaveLength(9);
      expect(await consumer.list('/sizes/untyped')).toHaveLength(4);
      expect(await consumer.whole('/sizes/untyped/b.mkv')).toHaveLength(11);
    }
    await inner.kill();
  });

  it('one of the mounts in a plain folder goes away: it waits or fails, but is not empty', async () => {
    const site = makeSite('plain');
    const folder = site.make('media');
    const mounts = ['a', 'b'].map((name) => site.make('media', name));
    for (const path of mounts) await OddTree.start(site, path);
    const served = await serve(folder, cleanUp, '--no-expect-fuse');
    const before = await served.nfs.list('/a');
    expect(before).toHaveLength(9);
    expect(await served.smb.list('/a')).toHaveLength(9);
    await unmountPath(mounts[0]!, true);
    const look = async (consumer: Consumer) => {
      // Both the last good listing and an error after a wait are correct answers.
      const after = await consumer.list('/a').catch(() => before);
      expect(after).toHaveLength(9);
      const read = await consumer.whole('/a/untyped/b.mkv').then((bytes) => bytes.length, String);
      if (read !== 11) expect(read).not.toMatch(/NOENT|NOT_FOUND|no such file/i);
      expect(await consumer.list('/b')).toHaveLength(9);
    };
    await Promise.all(served.consumers.map(look));
    await OddTree.start(site, mounts[0]);
    for (const consumer of served.consumers) {
      await expect
        .poll(() => consumer.whole('/a/untyped/b.mkv').catch(String), { timeout: 40_000 })
        .toHaveLength(11);
    }
  });
});

describe('mode bits', () => {
  it('hold for SMB guests as for NFS: others cannot read what only the owner may read', async () => {
    const site = makeSite('modes');
    const folder = folderWith(site, 'source', { key: 100, open: 100 });
    mkdirSync(join(folder, 'private'));
    writeFileSync(join(folder, 'private/file'), 'secret');
    chmodSync(join(folder, 'key'), 0o600);
    chmodSync(join(folder, 'private'), 0o700);
    const { consumers, nfs } = await serve(folder, cleanUp, '--no-expect-fuse');
    for (const consumer of consumers) {
      expect(await consumer.whole('/open')).toHaveLength(100);
      await expect(consumer.whole('/key')).rejects.toThrow();
      await expect(consumer.whole('/private/file')).rejects.toThrow();
    }
    const denied = await nfs.client.read(await nfs.handle('/key'), 0, 100).catch((error: unknown) => error);
    expect((denied as NfsFailure).status).toBe(NfsStatus.ACCES);
  });
});

it('a tree whose owner did not allow others is served to the gateway’s own user', async () => {
  const site = makeSite('owner');
  const folder = folderWith(site, 'source', { 'a.mkv': 1000 });
  await site.mount('bindfs', ['-f', '--no-allow-other', folder, site.mountpoint]);
  const served = await serve(site.mountpoint, cleanUp);
  expect(await sourceState(served)).toBe('live');
  expect((await lstat(join(site.mountpoint, 'a.mkv'))).size).toBe(1000);
  for (const consumer of served.consumers) expect(await consumer.whole('/a.mkv')).toHaveLength(1000);
});
