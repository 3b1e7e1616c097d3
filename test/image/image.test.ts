/** The Dockerfile, built by buildah, and what comes out of it: started, mounted by the kernel client, stopped. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { contentDigest, contentSeed, FuseTree, MIB, releasePath } from '../kit/fuse.ts';
import { alpineTree, decypharrTree, nodeTree } from '../kit/stand-ins.ts';
import { KernelClient } from '../kit/uml.ts';

const project = fileURLToPath(new URL('../../', import.meta.url));
const targets = ['holdfast', 'decypharr-holdfast'] as const;
const VIDEO = 16 * MIB;
/** What Kubernetes leaves between SIGTERM and SIGKILL, in ms. */
const GRACE = 30_000;

interface ImageConfig {
  readonly Entrypoint: readonly string[];
  readonly Cmd: readonly string[];
  readonly Env: readonly string[];
}
interface Inspected {
  readonly OCIv1: { readonly config: ImageConfig };
}

let work: string;
const containers: string[] = [];

/** buildah with its storage in a folder of this test's. */
function buildah(...args: string[]): string {
  const storage = [
    '--root',
    join(work, 'storage'),
    '--runroot',
    join(work, 'run'),
    '--storage-driver',
    'vfs',
  ];
  return execFileSync('buildah', [...storage, ...args], {
    cwd: project,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 64 * MIB,
    // Its configuration of this machine, if any, is not the test's.
    env: { ...process.env, TMPDIR: work },
  }).trim();
}

/** What npm needs to know of the network in the container that builds; the images that come out have none of it. */
const network = Object.entries(process.env).filter(([name]) => /proxy|cert|ssl|ca_bundle|cainfo/i.test(name));

function standIn(name: string, fill: (root: string) => void, env: readonly string[] = []): void {
  const tree = join(work, 'tree', name);
  fill(tree);
  const container = buildah('from', 'scratch');
  buildah('copy', '--quiet', container, tree, '/');
  buildah('config', ...env.flatMap((one) => ['--env', one]), container);
  buildah('commit', '--quiet', '--rm', container, `localhost/${name}`);
  rmSync(tree, { recursive: true });
}

const build = (target: string, name: string, more: readonly string[] = []) =>
  buildah(
    ...['bud', '--isolation', 'chroot', '--layers=false', '--pull-never', '--target', target, '--tag', name],
    ...['--build-arg', 'NODE_IMAGE=localhost/node', '--build-arg', 'BASE_IMAGE=localhost/alpine'],
    ...['--build-arg', 'DECYPHARR_IMAGE=localhost/decypharr', ...more, '.'],
  );

/** The root of an image, and what it says of itself. */
function unpack(name: string): { root: string; config: ImageConfig } {
  const container = buildah('from', '--pull-never', name);
  containers.push(container);
  const { OCIv1 } = JSON.parse(buildah('inspect', '--type', 'image', name)) as Inspected;
  return { root: buildah('mount', container), config: OCIv1.config };
}

/** Bytes of all files below a folder. */
function sizeOf(folder: string): number {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}

/** A container of an image: namespaces for mounts and processes, its root, its environment, its command. */
class Container {
  readonly lines: string[] = [];
  readonly #child: ChildProcess;
  readonly #seen = new Set<() => void>();

  constructor(
    image: { root: string; config: ImageConfig },
    netns: string,
    mounts: Record<string, string>,
    cmd?: readonly string[],
  ) {
    const { root, config } = image;
    const binds = Object.entries(mounts).map(
      ([from, to]) => `mount --rbind ${from} ${root}${to}; mount --make-rslave ${root}${to}`,
    );
    const script = [
      ...binds,
      `mount -t proc proc ${root}/proc`,
      `mount --rbind /dev ${root}/dev`,
      `exec chroot ${root} /bin/env -i ${config.Env.join(' ')} "$@"`,
    ].join('\n');
    const command = [...config.Entrypoint, ...(cmd ?? config.Cmd)];
    const namespaces = ['unshare', '--mount', '--propagation', 'slave', '--pid', '--fork', '--kill-child'];
    this.#child = spawn(
      'nsenter',
      [`--net=/run/netns/${netns}`, ...namespaces, 'sh', '-ec', script, 'sh', ...command],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    for (const stream of [this.#child.stdout!, this.#child.stderr!])
      createInterface({ input: stream }).on('line', (line) => {
        this.lines.push(line);
        for (const look of this.#seen) look();
      });
  }

  async logged(text: string, timeoutMs = 20_000): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const settle = (action: () => void) => {
        clearTimeout(timer);
        this.#seen.delete(look);
        this.#child.off('exit', ended);
        action();
      };
      const look = () => {
        if (this.lines.some((line) => line.includes(text))) settle(resolve);
      };
      const fail = (why: string) =>
        settle(() => reject(new Error(`${why}: ${text}\n${this.lines.join('\n')}`)));
      const ended = () => fail('ended without');
      const timer = setTimeout(() => fail('not logged'), timeoutMs);
      this.#seen.add(look);
      this.#child.on('exit', ended);
      look();
    });
  }

  /** SIGTERM to its first process, as a runtime does; resolves with the exit code. */
  async stop(): Promise<number | null> {
    const gone = once(this.#child, 'exit', { signal: AbortSignal.timeout(GRACE) });
    const first = execFileSync('pgrep', ['-P', String(this.#child.pid!)], { encoding: 'utf8' }).trim();
    process.kill(Number(first), 'SIGTERM');
    const [code] = (await gone) as [number | null];
    return code;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

beforeAll(() => {
  work = mkdtempSync(join(tmpdir(), 'holdfast-image-'));
  const env = network.map(([name, value]) => `${name}=${value!}`);
  standIn('node', nodeTree, env);
  standIn('alpine', alpineTree);
  standIn('decypharr', decypharrTree);
  for (const target of targets) build(target, `localhost/${target}`);
}, 600_000);

afterAll(() => {
  for (const container of containers) buildah('umount', container);
  buildah('rm', '--all');
  rmSync(work, { recursive: true, force: true });
});

describe.each(targets)('the image %s', (target) => {
  it('adds a Node and a program without compiled parts, and nothing of the machine that built it', () => {
    const { root, config } = unpack(`localhost/${target}`);
    const program = join(root, 'opt/holdfast');
    const files = readdirSync(program, { recursive: true, encoding: 'utf8' });
    expect(files.filter((file) => /\.(?:node|so(?:\.\d+)*|ts|map)$/.test(file))).toEqual([]);
    expect(files.filter((file) => /^node_modules\/(?:typescript|vitest|fuse-native)\b/.test(file))).toEqual(
      [],
    );
    const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1);
    const node = statSync(join(root, 'usr/local/bin/node')).size;
    process.stdout.write(`${target}: program ${megabytes(sizeOf(program))} MB, node ${megabytes(node)} MB\n`);
    expect(sizeOf(program)).toBeLessThan(15e6);
    const names = network.map(([name]) => name);
    expect(config.Env.filter((one) => names.includes(one.split('=')[0]!))).toEqual([]);
    expect(readdirSync(join(root, 'root'))).toEqual([]);
    expect(statSync(join(root, 'mnt/dfs')).mode & 0o777).toBe(0o777);
  });
});

describe('a container', () => {
  let client: KernelClient;
  let fuse: FuseTree;
  beforeAll(async () => {
    client = await KernelClient.start();
    fuse = await FuseTree.start({ releases: 20, files: [{ name: 'video.mkv', size: VIDEO }] });
  });
  afterAll(async () => {
    await client.dispose();
    await fuse.dispose();
  });

  it('serves what the host has mounted to a kernel, and ends in time', async () => {
    const container = new Container(unpack('localhost/holdfast'), client.netns, {
      [fuse.mountpoint]: '/mnt/dfs',
    });
    try {
      await container.logged('"source is live"');
      for (const protocol of ['nfs', 'smb']) await container.logged(`"protocol":"${protocol}"`);
      await client.mountNfs({ port: 2049, export: '/dfs', mountpoint: '/mnt/n' });
      await client.mountCifs({ port: 445, share: 'dfs', mountpoint: '/mnt/c' });
      const path = releasePath(2, 'video.mkv');
      const digest = contentDigest(contentSeed(path), VIDEO);
      for (const mountpoint of ['/mnt/n', '/mnt/c']) {
        const sum = await client.output(`sha256sum <${mountpoint}${path}`);
        expect(sum.split(' ')[0]).toBe(digest);
      }
      expect(await container.stop()).toBe(0);
    } finally {
      container.kill();
    }
  });

  it('runs Decypharr and ends after it', async () => {
    const container = new Container(unpack('localhost/decypharr-holdfast'), client.netns, {});
    try {
      await container.logged('decypharr --config /app');
      await container.logged('"waiting for the source"');
      // A shell can take the place of the first process from Node 22.15 on; the stand-in has the Node of this machine.
      if ('execve' in process) await container.logged('orphans are reaped by an init');
      expect(await container.stop()).toBe(0);
      expect(container.lines.join('\n')).toContain('decypharr ends');
    } finally {
      container.kill();
    }
  });
});
