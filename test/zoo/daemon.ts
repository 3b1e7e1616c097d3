/** One FUSE file system of the zoo: its process and its mount. Both are always removed at the end. */
import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { detachNow, isMounted, mountpoints, sweepLeftovers, unmountPath } from '../../src/demo/mounts.ts';

const MOUNT_MS = 20_000;
const POLL_MS = 20;

const FOLDER_PREFIX = 'holdfast-zoo-';
let swept = false;

/** Makes a folder in the temp folder. The first call removes folders of processes that died without cleaning up. */
export function temporaryFolder(name: string): string {
  if (!swept) sweepLeftovers(FOLDER_PREFIX);
  swept = true;
  return mkdtempSync(join(tmpdir(), `${FOLDER_PREFIX}${String(process.pid)}-${name}-`));
}

/** A temporary folder with a mountpoint. Removed even if the test process exits without a dispose. */
export class Site {
  readonly folder: string;
  readonly mountpoint: string;
  readonly #processes = new Set<ChildProcess>();
  readonly #onExit = () => this.disposeNow();

  constructor(name: string) {
    this.folder = temporaryFolder(name);
    // davfs2 changes to the user davfs2, who must be able to enter.
    chmodSync(this.folder, 0o755);
    this.mountpoint = this.make('dfs');
    process.on('exit', this.#onExit);
  }

  path(...parts: string[]): string {
    return join(this.folder, ...parts);
  }

  /** A folder in the site. */
  make(...parts: string[]): string {
    const path = this.path(...parts);
    mkdirSync(path, { recursive: true });
    return path;
  }

  /** Starts a program that is killed when this process ends. Its output is kept for error messages. */
  spawn(command: string, args: readonly string[], options: SpawnOptions = {}): Program {
    // libarchive drops names that the locale cannot represent.
    const env = { ...process.env, LC_ALL: 'C.UTF-8' };
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', command, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env,
      ...options,
    });
    this.#processes.add(child);
    child.on('exit', () => this.#processes.delete(child));
    return new Program(child, command);
  }

  /** Starts a FUSE daemon in the foreground and waits for its mount. */
  async mount(
    command: string,
    args: readonly string[],
    at = this.mountpoint,
    options: SpawnOptions = {},
  ): Promise<Program> {
    const program = this.spawn(command, args, options);
    await whenMounted(at, program);
    return program;
  }

  async dispose(): Promise<void> {
    const gone = [...this.#processes].map((child) => once(child, 'exit'));
    this.#killAll();
    await Promise.all(gone);
    this.#detachAll();
    process.off('exit', this.#onExit);
    rmSync(this.folder, { recursive: true, force: true });
  }

  disposeNow(): void {
    this.#killAll();
    this.#detachAll();
    rmSync(this.folder, { recursive: true, force: true });
  }

  #killAll(): void {
    for (const child of this.#processes) child.kill('SIGKILL');
  }

  /** Detaches all mounts of the site, innermost first. */
  #detachAll(): void {
    const own = mountpoints().filter((path) => path.startsWith(`${this.folder}/`));
    for (const path of own.reverse()) detachNow(path);
  }
}

export class Program {
  readonly child: ChildProcess;
  readonly command: string;
  text = '';

  constructor(child: ChildProcess, command: string) {
    this.child = child;
    this.command = command;
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (bytes: Buffer) => (this.text += bytes.toString()));
    child.on('error', (error) => (this.text += error.message));
  }

  get ended(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null || this.child.pid === undefined;
  }

  async kill(): Promise<void> {
    if (this.ended) return;
    const gone = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await gone;
  }
}

async function whenMounted(path: string, program: Program): Promise<void> {
  const deadline = performance.now() + MOUNT_MS;
  while (!isMounted(path)) {
    if (program.ended || performance.now() > deadline)
      throw new Error(`${program.command} has not mounted ${path}: ${program.text.trim()}`);
    await delay(POLL_MS);
  }
}

/** Detaches a dead mount, as an operator does before a restart of the daemon. */
export async function detach(path: string): Promise<void> {
  if (isMounted(path)) await unmountPath(path, true);
}
