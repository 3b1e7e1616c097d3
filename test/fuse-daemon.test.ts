import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants, existsSync, readFileSync } from 'node:fs';
import { open, statfs, type FileHandle } from 'node:fs/promises';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';
import {
  contentDigest,
  contentSeed,
  firstDifference,
  FuseTree,
  MIB,
  releaseName,
  releasePath,
} from './kit/fuse.ts';

const run = promisify(execFile);
const video = releasePath(1, 'video.mkv');
const small = { releases: 6, files: [{ name: 'video.mkv', size: 2 * MIB }] };

let tree: FuseTree;
afterEach(() => tree.dispose());

/** Runs stat in a separate process, so that a hung tree does not block a thread of the test. */
async function stat(path: string, format: string): Promise<string> {
  return (await run('stat', ['-c', format, path])).stdout.trim();
}

async function read(path: string, bytes: number, offset = 0): Promise<Buffer> {
  const position = [`if=${path}`, 'iflag=skip_bytes,count_bytes', `skip=${offset}`, `count=${bytes}`];
  const options = { encoding: 'buffer', maxBuffer: 64 * MIB } as const;
  return (await run('dd', [...position, 'bs=128K', 'status=none'], options)).stdout;
}

async function list(path: string): Promise<string[]> {
  return (await run('ls', ['-A', path])).stdout.split('\n').filter((name) => name !== '');
}

describe('the tree', () => {
  it('has the folders of Decypharr, releases and bytes that the generator can check', async () => {
    tree = await FuseTree.start(small);
    expect(await list(tree.mountpoint)).toEqual(
      ['__all__', '__bad__', 'latest', 'nzbs', 'torrents', 'version.txt'].sort(),
    );
    expect(await list(tree.path('__all__'))).toHaveLength(6);
    expect(await list(tree.path('torrents'))).toContain(releaseName(2));
    expect(await list(tree.path('nzbs'))).toContain(releaseName(1));
    expect(await stat(tree.path('latest'), '%F %N')).toContain("-> '__all__'");

    const bytes = await read(tree.path(video), 70_000, MIB - 5);
    expect(firstDifference(video, MIB - 5, bytes)).toBe(-1);
    const { stdout } = await run('sha256sum', [tree.path(video)]);
    expect(stdout.split(' ')[0]).toBe(contentDigest(video, 2 * MIB));
  });

  it('lies about links, inode numbers and times', async () => {
    tree = await FuseTree.start({ ...small, entryTimeoutSeconds: 0, attrTimeoutSeconds: 0 });
    const [links, first, mtime] = (await stat(tree.path(video), '%h %i %Y')).split(' ');
    expect(links).toBe('0');
    expect(Number(mtime) * 1000).toBe(tree.spec.addedOnMs + 60_000);
    const [, second] = (await stat(tree.path(video), '%h %i')).split(' ');
    expect(second).not.toBe(first);

    expect(await stat(tree.mountpoint, '%i')).toBe('0');
    const nowSeconds = Date.now() / 1000;
    expect(Number(await stat(tree.path('__all__'), '%Y'))).toBeGreaterThan(nowSeconds - 5);
    const release = tree.path(releasePath(1));
    const before = await stat(release, '%Y');
    await tree.add({ type: 'file', path: releasePath(1, 'new.mkv'), size: 10 });
    expect(await stat(release, '%Y')).toBe(before);
    expect(await list(release)).toContain('new.mkv');
  });

  it('says "now" for the paths it is told to', async () => {
    tree = await FuseTree.start({ ...small, nowPaths: [video] });
    expect(Number(await stat(tree.path(video), '%Y'))).toBeGreaterThan(Date.now() / 1000 - 5);
    expect(Number(await stat(tree.path(releasePath(2, 'video.mkv')), '%Y'))).toBeLessThan(
      Date.now() / 1000 - 3600,
    );
  });

  it('changes without notice to the reader', async () => {
    tree = await FuseTree.start({ ...small, entryTimeoutSeconds: 0, attrTimeoutSeconds: 0 });
    await tree.remove(releasePath(0));
    expect(await list(tree.path('__all__'))).not.toContain(releaseName(0));
    await tree.resize(video, 1000);
    expect(await stat(tree.path(video), '%s')).toBe('1000');
    await tree.replace(video, { size: 5000, version: 2 });
    const bytes = await read(tree.path(video), 9999);
    expect(bytes).toHaveLength(5000);
    expect(firstDifference(contentSeed(video, 2), 0, bytes)).toBe(-1);
    await tree.kill();
    await tree.mount();
    expect(await stat(tree.path(video), '%s')).toBe('5000');
    await run('rm', ['-r', tree.path(releasePath(1))]);
    expect(await list(tree.path('__all__'))).not.toContain(releaseName(1));
  });
});

describe('faults', () => {
  it('delay each request, but not one after the other', async () => {
    tree = await FuseTree.start(small);
    await tree.setLatency({ read: 100 });
    const reader = (block: number) =>
      run('dd', [
        `if=${tree.path(video)}`,
        'of=/dev/null',
        'bs=128K',
        'count=1',
        `skip=${block}`,
        'iflag=direct',
      ]);
    const startMs = performance.now();
    await Promise.all(Array.from({ length: 10 }, (_, block) => reader(block)));
    const tookMs = performance.now() - startMs;
    expect(tookMs).toBeGreaterThanOrEqual(99);
    expect(tookMs).toBeLessThan(800);
    expect(await tree.counts(video)).toMatchObject({ open: 10, read: 10, readBytes: 10 * 128 * 1024 });
  });

  it('hold matching operations until healed', async () => {
    tree = await FuseTree.start(small);
    await tree.hang(releasePath(1), 'read');
    const held = read(tree.path(video), 4096);
    await tree.whenHeld();
    const other = await read(tree.path(releasePath(2, 'video.mkv')), 4096);
    expect(firstDifference(releasePath(2, 'video.mkv'), 0, other)).toBe(-1);
    expect(await tree.held()).toBeGreaterThan(0);
    await tree.heal();
    expect(firstDifference(video, 0, await held)).toBe(-1);
    expect(await tree.held()).toBe(0);
  });

  it('hold lookups, listings and opens as well', async () => {
    tree = await FuseTree.start({ ...small, entryTimeoutSeconds: 0 });
    // With libfuse 2 the kernel sends first lookups in a directory one at a time. Later requests run in parallel.
    await run('ls', ['-lR', tree.path('__all__')]);
    await tree.hang(releasePath(1), 'lookup');
    await tree.hang(releasePath(2), 'list');
    await tree.hang(releasePath(3), 'open');
    const waiting = [
      stat(tree.path(releasePath(1)), '%F'),
      list(tree.path(releasePath(2))),
      read(tree.path(releasePath(3, 'video.mkv')), 10),
    ];
    await tree.whenHeld(3);
    await tree.heal();
    expect(await Promise.all(waiting)).toMatchObject(['directory', ['video.mkv'], { length: 10 }]);
  });

  it('fail with the errno they are told', async () => {
    tree = await FuseTree.start(small);
    await tree.fail(releasePath(1), { operations: ['read'] });
    await expect(read(tree.path(video), 10)).rejects.toThrow(/Input\/output error/);
    await tree.heal(releasePath(1));
    await tree.fail(releasePath(1), { operations: ['open'], errno: 'ETIMEDOUT', afterMs: 20 });
    await expect(read(tree.path(video), 10)).rejects.toThrow(/timed out/);
  });
});

/** One read through a descriptor: the bytes, or the code of the error. */
async function pread(file: FileHandle, bytes: number, offset = 0): Promise<Buffer | string> {
  const buffer = Buffer.alloc(bytes);
  try {
    const { bytesRead } = await file.read(buffer, 0, bytes, offset);
    return buffer.subarray(0, bytesRead);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code!;
  }
}

const openDirect = (path: string) => open(path, constants.O_RDONLY | constants.O_DIRECT);

describe('a daemon that leaves', () => {
  it('answers names while its reads fail, end early or end at once, through every descriptor', async () => {
    tree = await FuseTree.start(small);
    await using before = await openDirect(tree.path(video));
    await using unread = await openDirect(tree.path(releasePath(4, 'video.mkv')));
    const left = tree.leave({ forMs: 1000 });
    await tree.held();
    await using after = await openDirect(tree.path(releasePath(2, 'video.mkv')));
    const answers = [
      await pread(before, 4096),
      await pread(before, 4096),
      await pread(before, 4096, MIB),
      await pread(after, 4096),
      await pread(after, 4096),
      await pread(after, 4096),
    ];
    const seen = answers.map((answer) => (typeof answer === 'string' ? answer : answer.length));
    expect(seen).toEqual(['EIO', 2048, 0, 'EIO', 2048, 0]);
    expect(firstDifference(video, 0, answers[1] as Buffer)).toBe(-1);
    expect(await stat(tree.path(releasePath(3, 'video.mkv')), '%s')).toBe(String(2 * MIB));
    expect(await list(tree.path('__all__'))).toHaveLength(6);
    expect((await statfs(tree.mountpoint)).type).toBe(0x65735546);
    await left;
    expect(tree.pid).toBeUndefined();
    expect(await list(tree.mountpoint)).toEqual([]);
    expect(await pread(unread, 4096)).toBe('ENOTCONN');
    await tree.mount();
    expect(await read(tree.path(video), 10)).toHaveLength(10);
  });

  /** A read of 128 KiB whose answers are short, while attributes are asked for until it returns. */
  const readMeanwhile = async (openFile: (path: string) => Promise<FileHandle>): Promise<Buffer> => {
    tree = await FuseTree.start({ ...small, entryTimeoutSeconds: 0, attrTimeoutSeconds: 0 });
    await tree.setLatency({ read: 200 });
    await using file = await openFile(tree.path(video));
    const left = tree.leave({ forMs: 1500, answers: ['short'] });
    const returned = new AbortController();
    const reader = pread(file, 128 * 1024).finally(() => returned.abort());
    await expect.poll(async () => (await tree.counts(video)).read).toBeGreaterThan(0);
    // The kernel then trusts the size in these attributes, not the short answer, and fills the rest with zeros.
    while (!returned.signal.aborted) await stat(tree.path(video), '%s');
    await left;
    return (await reader) as Buffer;
  };

  const expectZeros = (bytes: Buffer) => {
    expect(bytes).toHaveLength(128 * 1024);
    const wrong = firstDifference(video, 0, bytes);
    expect(wrong).toBeGreaterThan(0);
    expect(bytes.subarray(wrong).every((byte) => byte === 0)).toBe(true);
  };

  it('gives a buffered reader pages of zeros', async () => {
    expectZeros(await readMeanwhile((path) => open(path)));
  });

  it('gives a direct reader pages of zeros: the kernel reads the part that a short answer lacks through its cache', async () => {
    expectZeros(await readMeanwhile(openDirect));
  });

  it('fails what it held, and can lose its names first', async () => {
    tree = await FuseTree.start({ ...small, entryTimeoutSeconds: 0, attrTimeoutSeconds: 0 });
    await tree.hang(releasePath(1), 'read');
    const reader = expect(read(tree.path(video), 10)).rejects.toThrow(/Input.output error/);
    await tree.whenHeld();
    const left = tree.leave({ forMs: 500, answers: ['error'], losesNames: true });
    await reader;
    await expect(stat(tree.path(video), '%s')).rejects.toThrow(/No such file/);
    expect(await list(tree.mountpoint)).toEqual([]);
    await left;
  });

  it('comes back in the same process, as from its page', async () => {
    tree = await FuseTree.start(small);
    const { pid } = tree;
    await using file = await openDirect(tree.path(video));
    await tree.leave({ forMs: 100, backAfterMs: 200 });
    expect(tree.pid).toBe(pid);
    expect(await pread(file, 10)).toBe('ENOTCONN');
    expect(firstDifference(video, 0, await read(tree.path(video), 4096))).toBe(-1);
    await file.close();
    expect(await list(tree.path('__all__'))).toHaveLength(6);
  });
});

describe('Decypharr’s own endings', () => {
  const provider = {
    bytesPerSecond: 100_000_000,
    firstByteMs: 10,
    aheadBytes: 0,
    idleMs: 30_000,
    giveUpMs: 9000,
  };

  it('hanwen: old descriptors fail, new ones read only what is on the disk', async () => {
    tree = await FuseTree.start({ ...small, provider });
    await using before = await openDirect(tree.path(video));
    expect(await pread(before, 8192)).toHaveLength(8192);
    const left = tree.leave({ manner: 'hanwen', flushMs: 300 });
    await tree.held();
    await using during = await openDirect(tree.path(video));
    expect(await pread(during, 4096)).toBe('EIO');
    await expect.poll(() => pread(during, 4096), { interval: 20 }).toHaveLength(4096);
    expect(await pread(before, 4096)).toBe('EIO');
    expect(await pread(during, 4096, MIB)).toHaveLength(0);
    expect(await list(tree.path('__all__'))).toHaveLength(6);
    await left;
    expect(await list(tree.mountpoint)).toEqual([]);
  });

  it('hanwen: unmounts at once when nothing is open', async () => {
    tree = await FuseTree.start(small);
    const startMs = performance.now();
    await tree.leave({ manner: 'hanwen', flushMs: 20, backAfterMs: 0 });
    expect(performance.now() - startMs).toBeLessThan(1000);
    expect(await list(tree.path('__all__'))).toHaveLength(6);
  });

  it('cgo: unmounted first, then old descriptors fail, in the end with ENOENT', async () => {
    tree = await FuseTree.start({ ...small, directIo: true });
    await using before = await open(tree.path(video));
    const left = tree.leave({ manner: 'cgo', backAfterMs: 300 });
    await expect.poll(() => list(tree.mountpoint), { interval: 10 }).toEqual([]);
    expect(await pread(before, 4096)).toBe('EIO');
    await expect.poll(() => pread(before, 4096), { interval: 20 }).toBe('ENOENT');
    await left;
    expect(firstDifference(video, 0, await read(tree.path(video), 4096))).toBe(-1);
  });
});

describe('a provider', () => {
  const provider = {
    bytesPerSecond: 20_000_000,
    firstByteMs: 30,
    aheadBytes: 64 * MIB,
    idleMs: 30_000,
    giveUpMs: 120_000,
  };

  it('is read ahead while a file is open, and fetched bytes stay', async () => {
    tree = await FuseTree.start({ releases: 2, provider });
    const path = tree.path(video);
    {
      await using file = await openDirect(path);
      expect(firstDifference(video, 0, (await pread(file, MIB)) as Buffer)).toBe(-1);
      await expect.poll(async () => (await tree.usage(video)).provider.bytes).toBeGreaterThan(3 * MIB);
    }
    await expect.poll(async () => (await tree.usage()).openNow).toBe(0);
    const { provider: closed } = await tree.usage(video);
    expect(await tree.usage()).toEqual({ opens: 1, closes: 1, openNow: 0, openMost: 1, provider: closed });
    expect(closed.requests).toBe(1);
    expect(closed.bytes).toBeLessThan(60 * MIB);

    await tree.stall();
    expect(await read(path, 3 * MIB)).toHaveLength(3 * MIB);
    const waiting = read(path, 4096, 60 * MIB);
    await expect.poll(async () => (await tree.usage(video)).provider.requests).toBe(2);
    await tree.heal();
    expect(firstDifference(video, 60 * MIB, await waiting)).toBe(-1);
  });
});

describe('errors', () => {
  it('a dead file fails late the first time, then at once', async () => {
    tree = await FuseTree.start(small);
    await tree.fail(releasePath(1), { operations: ['open'], afterMs: 300, delaysOnce: true });
    const times: number[] = [];
    for (let i = 0; i < 2; i++) {
      const startMs = performance.now();
      await expect(open(tree.path(video))).rejects.toThrow(/EIO/);
      times.push(performance.now() - startMs);
    }
    expect(times[0]).toBeGreaterThanOrEqual(299);
    expect(times[1]).toBeLessThan(200);
  });

  it('names are lost and listings end early, until healed', async () => {
    tree = await FuseTree.start({ ...small, entryTimeoutSeconds: 0, attrTimeoutSeconds: 0 });
    await tree.cutListings('/__all__', 2);
    expect(await list(tree.path('__all__'))).toHaveLength(2);
    await tree.lose('/__all__');
    expect(await list(tree.path('__all__'))).toEqual([]);
    await expect(stat(tree.path(video), '%s')).rejects.toThrow(/No such file/);
    await tree.heal();
    expect(await list(tree.path('__all__'))).toHaveLength(6);
    expect(await stat(tree.path(video), '%s')).toBe(String(2 * MIB));
  });

  it('O_DIRECT is refused at open or at read', async () => {
    tree = await FuseTree.start({ ...small, direct: 'refuse-open' });
    await expect(openDirect(tree.path(video))).rejects.toThrow(/EINVAL/);
    expect(await read(tree.path(video), 10)).toHaveLength(10);
    await tree.dispose();
    tree = await FuseTree.start({ ...small, direct: 'refuse-unaligned' });
    await using file = await openDirect(tree.path(video));
    expect(await pread(file, 4096)).toHaveLength(4096);
    expect(await pread(file, 1000)).toBe('EINVAL');
    expect(await read(tree.path(video), 1000)).toHaveLength(1000);
    await tree.dispose();
    tree = await FuseTree.start({ ...small, direct: 'refuse-read' });
    await using other = await openDirect(tree.path(video));
    expect(await pread(other, 4096)).toBe('EINVAL');
  });
});

describe('the mount', () => {
  it('answers ENOTCONN when the daemon was killed or ended itself, and lives again', async () => {
    tree = await FuseTree.start(small);
    await tree.kill();
    await expect(list(tree.mountpoint)).rejects.toThrow(/Transport endpoint is not connected/);
    await tree.mount();
    expect(await list(tree.path('__all__'))).toHaveLength(6);
    await tree.exit();
    await expect(list(tree.mountpoint)).rejects.toThrow(/Transport endpoint is not connected/);
    await tree.detach();
    expect(await list(tree.mountpoint)).toEqual([]);
  });

  it('frees the readers it held when its daemon dies', async () => {
    tree = await FuseTree.start(small);
    await tree.hang();
    const reader = read(tree.path(video), 10);
    const failed = expect(reader).rejects.toThrow();
    await tree.whenHeld();
    await tree.kill();
    await failed;
  });

  it('shows the empty folder after a clean unmount, and refuses one while a file is open', async () => {
    tree = await FuseTree.start(small);
    const reader = spawn('sh', ['-c', `exec 3<${tree.path(video)}; echo open; read line; wc -c <&3`]);
    await once(reader.stdout, 'data');
    await expect(tree.unmount()).rejects.toThrow(/busy/);
    await tree.unmount({ lazy: true });
    expect(await list(tree.mountpoint)).toEqual([]);
    await tree.mount();
    reader.stdin.end('\n');
    const [bytes] = (await once(reader.stdout, 'data')) as [Buffer];
    expect(Number(bytes.toString())).toBe(2 * MIB);
    await tree.unmount();
    expect(await list(tree.mountpoint)).toEqual([]);
  });

  it('can appear late', async () => {
    tree = await FuseTree.start({ ...small, mounted: false });
    expect(await list(tree.mountpoint)).toEqual([]);
    await tree.mount();
    expect(await list(tree.path('__all__'))).toHaveLength(6);
  });

  it('is not left behind by a process that is killed', async () => {
    tree = await FuseTree.start({ ...small, mounted: false });
    const module = new URL('../dist/app/demo/fuse-tree.js', import.meta.url).href;
    const script = `
      const { FuseTree } = await import(${JSON.stringify(module)});
      const tree = await FuseTree.start({ releases: 1 });
      console.log(tree.mountpoint + ' ' + tree.pid);
      setInterval(() => undefined, 1000);`;
    const owner = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(owner.stdout, 'data')) as [Buffer];
    const [mountpoint, pid] = line.toString().trim().split(' ') as [string, string];
    expect(readFileSync('/proc/self/mounts', 'utf8')).toContain(mountpoint);
    owner.kill('SIGKILL');
    await expect.poll(() => existsSync(`/proc/${pid}`), { timeout: 5000 }).toBe(false);
    expect(readFileSync('/proc/self/mounts', 'utf8')).not.toContain(mountpoint);
    // By force: a test beside this one may remove what dead processes have left.
    execFileSync('rm', ['-rf', mountpoint.replace(/\/dfs$/, '')]);
  });
});
