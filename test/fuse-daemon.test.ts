import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
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

/** stat in a process of its own: a hung tree must not hold a thread of the test. */
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

  it('changes behind the reader', async () => {
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

  it('hold what they are told to and let it go on', async () => {
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
    // libfuse 2 lets the kernel send one first lookup of a directory at a time; what was seen is asked in parallel.
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
    execFileSync('rm', ['-r', mountpoint.replace(/\/dfs$/, '')]);
  });
});
