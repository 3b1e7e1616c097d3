import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  defaultLeave,
  defaultSpec,
  type DaemonCommand,
  type DaemonReply,
  type EntrySpec,
  type FaultScope,
  type FuseOperation,
  type Latency,
  type LeaveSpec,
  type OperationCounts,
  type TreeChange,
  type TreeSpec,
  type UsageCounts,
} from './fuse-protocol.ts';
import { detachNow, FOLDER_PREFIX, isMounted, sweepLeftovers, unmountPath } from './mounts.ts';

export interface FuseTreeOptions extends Partial<TreeSpec> {
  /** An existing folder to mount at; by default one in the temp folder, removed by {@link FuseTree.dispose}. */
  readonly mountpoint?: string;
  /** false: do not mount yet; only the empty folder exists. Default true. */
  readonly mounted?: boolean;
}

interface Daemon {
  readonly process: ChildProcess;
  readonly calls: Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>;
}

/** In dist/ the daemon is beside this module. When run from the sources (vitest), the built daemon is used. */
const daemonPath = fileURLToPath(
  import.meta.url.endsWith('.ts')
    ? new URL('../../dist/app/demo/fuse-daemon.js', import.meta.url)
    : new URL('./fuse-daemon.js', import.meta.url),
);

const live = new Set<FuseTree>();
let prepared = false;

/**
 * A FUSE tree like Decypharr's, served by a daemon in a separate process. This class never touches the mount, so that no
 * fault can hang the caller. No mount is left behind: `dispose` and the process's exit hook unmount it, the daemon unmounts
 * it when its parent dies, and the next start removes leftovers.
 */
export class FuseTree {
  /** The mountpoint, whether or not the tree is mounted now. */
  readonly mountpoint: string;
  readonly spec: TreeSpec;
  readonly #folder: string;
  readonly #changes: TreeChange[] = [];
  /** Daemons whose mount was detached lazily and that may still serve open files. */
  readonly #detached: Daemon[] = [];
  #daemon: Daemon | undefined;
  #lastId = 0;

  private constructor(spec: TreeSpec, folder: string, mountpoint: string) {
    this.spec = spec;
    this.mountpoint = mountpoint;
    this.#folder = folder;
    live.add(this);
  }

  /** Mounts a tree with `defaultSpec` (fuse-protocol.ts) overridden by `options`. Resolves when the mount is up. */
  static async start(options: FuseTreeOptions = {}): Promise<FuseTree> {
    prepareOnce();
    const { mountpoint, mounted = true, ...spec } = options;
    const folder = mkdtempSync(join(tmpdir(), `${FOLDER_PREFIX}${String(process.pid)}-`));
    const path = mountpoint ?? join(folder, 'dfs');
    if (mountpoint === undefined) mkdirSync(path);
    const tree = new FuseTree({ ...defaultSpec, ...spec }, folder, path);
    try {
      if (mounted) await tree.mount();
    } catch (error) {
      await tree.dispose();
      throw error;
    }
    return tree;
  }

  /** The daemon's process id; undefined while no daemon runs. */
  get pid(): number | undefined {
    return this.#daemon?.process.pid;
  }

  /** The path of an entry in the host's file system. */
  path(entry: string): string {
    return join(this.mountpoint, entry);
  }

  /**
   * Mounts with a new daemon. Inode numbers start over, changes are kept, faults set at run time are lost. A dead mount at
   * the path is detached first, as Decypharr does.
   */
  async mount(): Promise<void> {
    if (this.#daemon) throw new Error('already mounted');
    if (isMounted(this.mountpoint)) await unmountPath(this.mountpoint, true);
    const { mountpoint, spec } = this;
    const command: DaemonCommand = { name: 'mount', mountpoint, spec, changes: this.#changes };
    this.#daemon = this.#fork({});
    try {
      await this.#send(command);
    } catch (error) {
      await this.kill();
      if (!/libfuse\.so\.2/.test((error as Error).message)) throw error;
      this.#daemon = this.#fork({ LD_LIBRARY_PATH: this.#bundledLibrary() });
      await this.#send(command);
    }
  }

  /**
   * Unmounts, so that the folder underneath appears, and ends the daemon. Fails if the mount is busy, unless `lazy`: then
   * the daemon serves open files until {@link dispose}.
   */
  async unmount(options: { lazy?: boolean } = {}): Promise<void> {
    const daemon = this.#daemon;
    if (!daemon) throw new Error('not mounted');
    await unmountPath(this.mountpoint, options.lazy ?? false);
    this.#daemon = undefined;
    if (options.lazy) this.#detached.push(daemon);
    else await end(daemon);
  }

  /** Kills the daemon. The mount stays and answers ENOTCONN until {@link mount} or {@link detach}. */
  async kill(): Promise<void> {
    const daemon = this.#daemon;
    this.#daemon = undefined;
    if (daemon) await end(daemon);
  }

  /** Like {@link kill}, but the daemon ends itself with process.exit. */
  async exit(code = 1): Promise<void> {
    const daemon = this.#daemon;
    if (!daemon) throw new Error('not mounted');
    const gone = once(daemon.process, 'exit');
    this.#send({ name: 'exit', code }).catch(() => undefined);
    await gone;
    this.#daemon = undefined;
  }

  /**
   * Shuts the daemon down as LeaveSpec describes. Resolves when the daemon has ended, or with `backAfterMs` when it has
   * mounted again. Commands sent meanwhile take effect during the shutdown.
   */
  async leave(options: Partial<LeaveSpec> = {}): Promise<void> {
    const daemon = this.#daemon;
    if (!daemon) throw new Error('not mounted');
    const leave = { ...defaultLeave, ...options };
    const gone = once(daemon.process, 'exit');
    await this.#send({ name: 'leave', leave });
    if (leave.backAfterMs === null) await gone;
  }

  /** Detaches the dead mount that {@link kill} left, as Decypharr does before it mounts again. */
  async detach(): Promise<void> {
    await unmountPath(this.mountpoint, true);
  }

  async add(entry: EntrySpec): Promise<void> {
    await this.#change({ kind: 'add', entry });
  }

  /** Removes the entry and all below it. */
  async remove(path: string): Promise<void> {
    await this.#change({ kind: 'remove', path });
  }

  async resize(path: string, size: number, mtimeMs?: number): Promise<void> {
    await this.#change({ kind: 'resize', path, size, ...(mtimeMs === undefined ? {} : { mtimeMs }) });
  }

  /** Replaces the file at `path`: its bytes are then those of contentSeed(path, version). */
  async replace(path: string, file: { size: number; version: number; mtimeMs?: number }): Promise<void> {
    await this.#change({ kind: 'replace', path, mtimeMs: Date.now(), ...file });
  }

  async touch(path: string, mtimeMs: number): Promise<void> {
    await this.#change({ kind: 'touch', path, mtimeMs });
  }

  /** Delays each answer at and below `path` by these ms; replaces an earlier latency of the same path. */
  async setLatency(latency: Latency, path = '/'): Promise<void> {
    await this.#send({ name: 'latency', latency, path });
  }

  /** Holds these operations (all by default) at and below `path` until {@link heal}. */
  async hang(path = '/', ...operations: FuseOperation[]): Promise<void> {
    await this.#send({ name: 'hang', scope: scopeOf(path, operations) });
  }

  /** Fails these operations (all by default) at and below `path`, each after `afterMs`. */
  async fail(
    path: string,
    options: {
      errno?: keyof typeof constants.errno;
      afterMs?: number;
      /** Only the first failure of each path takes `afterMs`; later ones fail at once, as with a dead link. */
      delaysOnce?: boolean;
      operations?: FuseOperation[];
    } = {},
  ): Promise<void> {
    const { errno = 'EIO', afterMs = 0, delaysOnce = false, operations = [] } = options;
    const failure = { ...scopeOf(path, operations), errno: constants.errno[errno], afterMs, delaysOnce };
    await this.#send({ name: 'fail', failure });
  }

  /**
   * Until {@link heal}, lookups below `path` fail with ENOENT and its listings are empty, as when a daemon has closed its
   * database.
   */
  async lose(path = '/'): Promise<void> {
    await this.#send({ name: 'lose', path });
  }

  /** Until {@link heal}, listings at and below `path` end successfully after `entries` entries. */
  async cutListings(path: string, entries: number): Promise<void> {
    await this.#send({ name: 'cut', path, entries });
  }

  /** The provider sends nothing until {@link heal}. Bytes that were fetched before can be read. */
  async stall(): Promise<void> {
    if (!this.spec.provider) throw new Error('the tree has no provider: TreeSpec.provider');
    await this.#send({ name: 'stall' });
  }

  /** Ends faults at and below `path` and the provider's stall. Held operations continue. */
  async heal(path = '/'): Promise<void> {
    await this.#send({ name: 'heal', path });
  }

  /** Operations that reached the daemon at and below `path` since the mount or {@link resetCounts}. */
  async counts(path = '/'): Promise<OperationCounts> {
    return (await this.#send({ name: 'counts', path })) as OperationCounts;
  }

  /** Descriptors at and below `path` and traffic from the provider, since the mount or {@link resetCounts}. */
  async usage(path = '/'): Promise<UsageCounts> {
    return (await this.#send({ name: 'usage', path })) as UsageCounts;
  }

  async resetCounts(): Promise<void> {
    await this.#send({ name: 'resetCounts' });
  }

  /** How many operations hang right now. */
  async held(): Promise<number> {
    return (await this.#send({ name: 'held' })) as number;
  }

  /** Resolves when at least `count` operations hang. */
  async whenHeld(count = 1): Promise<void> {
    await this.#send({ name: 'waitHeld', count });
  }

  /** Ends the daemon, detaches the mount and removes the temp folder. Safe in any state and more than once. */
  async dispose(): Promise<void> {
    const daemons = [...this.#detached, ...(this.#daemon ? [this.#daemon] : [])];
    this.#daemon = undefined;
    this.#detached.length = 0;
    await Promise.all(daemons.map(end));
    this.#cleanUp();
  }

  /** A synchronous {@link dispose}, for the process's exit hook. */
  disposeNow(): void {
    for (const daemon of [...this.#detached, ...(this.#daemon ? [this.#daemon] : [])])
      daemon.process.kill('SIGKILL');
    this.#cleanUp();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  #cleanUp(): void {
    live.delete(this);
    detachNow(this.mountpoint);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #change(change: TreeChange): Promise<void> {
    if (this.#daemon) await this.#send({ name: 'change', change });
    this.#changes.push(change);
  }

  #fork(environment: NodeJS.ProcessEnv): Daemon {
    if (!existsSync(daemonPath)) throw new Error(`${daemonPath} is missing: run "npm run build" first`);
    const child = fork(daemonPath, [], {
      execArgv: [],
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    // The daemon must not keep this process alive; the exit hook ends it.
    child.unref();
    child.channel?.unref();
    const daemon: Daemon = { process: child, calls: new Map() };
    child.on('message', (message: DaemonReply) => {
      const call = daemon.calls.get(message.id);
      daemon.calls.delete(message.id);
      if (message.error)
        call?.reject(Object.assign(new Error(message.error.message), { code: message.error.code }));
      else call?.resolve(message.value);
    });
    child.on('exit', () => {
      for (const call of daemon.calls.values()) call.reject(new Error('the FUSE daemon has ended'));
      daemon.calls.clear();
      if (this.#daemon === daemon) this.#daemon = undefined;
    });
    return daemon;
  }

  #send(command: DaemonCommand): Promise<unknown> {
    const daemon = this.#daemon;
    if (!daemon) return Promise.reject(new Error('no FUSE daemon is running'));
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      // Keep the event loop alive only while calls are pending.
      daemon.process.channel?.ref();
      const settle = <T>(done: (value: T) => void): ((value: T) => void) => {
        return (value) => {
          if (daemon.calls.size === 0) daemon.process.channel?.unref();
          done(value);
        };
      };
      daemon.calls.set(id, { resolve: settle(resolve), reject: settle(reject) });
      daemon.process.send({ id, command }, (error) => {
        if (error) reject(error);
      });
    });
  }

  /** Returns a folder with a link to the libfuse of fuse-native's packages, for LD_LIBRARY_PATH. */
  #bundledLibrary(): string {
    const require = createRequire(import.meta.url);
    const { lib } = createRequire(require.resolve('fuse-native'))('fuse-shared-library') as { lib: string };
    const link = join(this.#folder, 'libfuse.so.2');
    if (!existsSync(link)) symlinkSync(lib, link);
    return this.#folder;
  }
}

function scopeOf(path: string, operations: readonly FuseOperation[]): FaultScope {
  return operations.length === 0 ? { path } : { path, operations };
}

async function end({ process: child }: Daemon): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.ref();
  child.kill('SIGKILL');
  await gone;
}

function prepareOnce(): void {
  if (prepared) return;
  prepared = true;
  sweepLeftovers();
  process.on('exit', () => {
    for (const tree of [...live]) tree.disposeNow();
  });
}
