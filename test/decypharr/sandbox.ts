/**
 * A network and mount namespace for one daemon. Inside, 127.0.0.1:443 is free, /etc/hosts is the test's own, and FUSE mounts
 * are visible inside only. Nothing outside is changed.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isLeftover, leftoverNamespaces, removeNamespace } from '../kit/namespaces.ts';
import { outcome, type Outcome } from '../kit/smb.ts';
import { HOST_ADDRESS } from '../kit/uml.ts';

const NAME_PREFIX = 'holdfast-dcy-';
const START_MS = 10_000;
export const API_HOST = 'api.real-debrid.com';

/** A command prefix: the process is killed when its parent dies, so that mounts end with the test. */
export const WITH_PARENT = ['setpriv', '--pdeathsig', 'KILL'];

const live = new Set<Sandbox>();

export interface SandboxOptions {
  /** An existing network namespace, say a kernel client's, instead of a new one. */
  readonly netns?: string;
}

export class Sandbox {
  /** The name below /run/netns. */
  readonly netns: string;
  /** Folder for all files of the run; visible inside and outside. */
  readonly folder: string;
  readonly #ownNetns: boolean;
  #holder: ChildProcess | undefined;

  private constructor({ netns }: SandboxOptions) {
    this.folder = mkdtempSync(join(tmpdir(), `${NAME_PREFIX}${String(process.pid)}-`));
    this.#ownNetns = netns === undefined;
    this.netns = netns ?? `${NAME_PREFIX}${String(process.pid)}-${randomBytes(3).toString('hex')}`;
    live.add(this);
  }

  static async start(options: SandboxOptions = {}): Promise<Sandbox> {
    sweepOnce();
    const sandbox = new Sandbox(options);
    try {
      if (sandbox.#ownNetns) {
        execFileSync('ip', ['netns', 'add', sandbox.netns]);
        execFileSync('ip', ['-n', sandbox.netns, 'link', 'set', 'lo', 'up']);
      }
      await sandbox.#hold();
    } catch (error) {
      await sandbox.dispose();
      throw error;
    }
    return sandbox;
  }

  /** Starts the process that holds the mount namespace, which others enter. It ends with this process. */
  async #hold(): Promise<void> {
    const hosts = join(this.folder, 'hosts');
    writeFileSync(hosts, `127.0.0.1 localhost ${API_HOST}\n`);
    const script = 'mount --bind "$0" /etc/hosts && echo ready && exec cat';
    const command = [`--net=/run/netns/${this.netns}`, 'unshare', '--mount', '--propagation', 'private'];
    const holder = spawn('nsenter', [...command, 'sh', '-c', script, hosts], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#holder = holder;
    const ended = once(holder, 'exit').then(() => {
      throw new Error('no mount namespace: unshare or mount failed');
    });
    ended.catch(() => undefined);
    await Promise.race([once(holder.stdout, 'data', { signal: AbortSignal.timeout(START_MS) }), ended]);
  }

  /** A prefix for a command that makes it run in the sandbox. */
  get enter(): string[] {
    const mounts = `--mount=/proc/${String(this.#holder!.pid)}/ns/mnt`;
    return ['nsenter', `--net=/run/netns/${this.netns}`, mounts, ...WITH_PARENT];
  }

  /** A path inside the sandbox, as seen from this process. */
  inside(path: string): string {
    return `/proc/${String(this.#holder!.pid)}/root${path}`;
  }

  /** The file system type that is mounted at `path` inside, or undefined. */
  mountedAt(path: string, mountinfo: string): string | undefined {
    const line = mountinfo.split('\n').findLast((one) => one.split(' ')[4] === path);
    return line?.split(' - ')[1]?.split(' ')[0];
  }

  get mountinfoPath(): string {
    return `/proc/${String(this.#holder!.pid)}/mountinfo`;
  }

  /** A folder below {@link folder}. */
  makeFolder(name: string): string {
    const path = join(this.folder, name);
    mkdirSync(path, { recursive: true });
    return path;
  }

  /** Runs a command in the sandbox. It is killed after `timeoutMs` (default 60 s). */
  run(file: string, args: readonly string[], timeoutMs?: number): Promise<Outcome> {
    const [nsenter, ...enter] = this.enter;
    return outcome(nsenter!, [...enter, file, ...args], timeoutMs === undefined ? {} : { timeoutMs });
  }

  /** Returns a server that listens in the sandbox and is served by this process. */
  async listen(port: number, host = '127.0.0.1'): Promise<Server> {
    const script = `
      const server = require('node:net').createServer();
      server.listen(${String(port)}, '${host}', () => process.send('', server));
      // The child must end: else it would accept connections as well.
      process.on('disconnect', () => process.exit());`;
    const [nsenter, ...enter] = this.enter;
    const child = spawn(nsenter!, [...enter, process.execPath, '-e', script], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const [, server] = (await once(child, 'message', { signal: AbortSignal.timeout(START_MS) })) as [
      unknown,
      unknown,
    ];
    child.disconnect();
    await once(child, 'exit');
    if (!(server instanceof Server)) throw new Error(`nobody listens at port ${String(port)}`);
    return server;
  }

  /** Ends all processes of the sandbox and removes it. Safe to call again. */
  async dispose(): Promise<void> {
    const holder = this.#holder;
    this.disposeNow();
    if (holder && holder.exitCode === null && holder.signalCode === null) await once(holder, 'exit');
    // Mounts disappear with the last process; until then the folder may be busy.
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }

  /** A synchronous {@link dispose}, for the process's exit hook. */
  disposeNow(): void {
    if (!live.delete(this)) return;
    if (this.#ownNetns) removeNamespace(this.netns);
    else this.#holder?.kill('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }
}

/** Addresses of servers in a sandbox: from inside and, in a kernel client's network, from the guest. */
export const LOOPBACK = '127.0.0.1';
export { HOST_ADDRESS };

let swept = false;

/** Removes leftovers of runs that died. */
function sweepOnce(): void {
  if (swept) return;
  swept = true;
  process.on('exit', () => {
    for (const sandbox of live) sandbox.disposeNow();
  });
  for (const name of leftoverNamespaces(NAME_PREFIX)) removeNamespace(name);
  for (const name of readdirSync(tmpdir()).filter((one) => isLeftover(one, NAME_PREFIX)))
    rmSync(join(tmpdir(), name), { recursive: true, force: true });
}
