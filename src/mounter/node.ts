/**
 * Operations on the mounts of a node. Every call that may hang runs in a separate process with a timeout. It needs the programs
 * `mount`, `umount` and `stat`, and `nsenter` for another network namespace; those of busybox are enough. mount.nfs and
 * mount.cifs are not used (`-i`).
 */
import { close, open, type BigIntStats } from 'node:fs';
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { MountTable, type Mount } from '../source/mount-table.ts';
import { tableField, type KernelMount } from './options.ts';
import { runProgram, type ProgramResult } from './program.ts';

const openDescriptor = promisify(open);
const closeDescriptor = promisify(close);

/** Timeouts in milliseconds. Mounting waits for the server; other changes of the mount table do not. */
const mountTimeout = 30_000;
const changeTimeout = 5_000;

export class MountNode {
  readonly #enter: readonly string[];

  private constructor(enter: readonly string[]) {
    this.#enter = enter;
  }

  /** @param netns path of the network namespace that new mounts use. The kernel takes that of the mounting process. */
  static async in(netns: string): Promise<MountNode> {
    const [own, wanted] = await Promise.all([namespaceOf('/proc/self/ns/net'), namespaceOf(netns)]);
    if (own.dev !== wanted.dev)
      throw new Error(`--netns: ${netns} is no namespace; expected a path such as /run/netns/NAME`);
    return new MountNode(own.ino === wanted.ino ? [] : ['nsenter', `--net=${netns}`]);
  }

  /** The mounts of this process's mount namespace. */
  async table(): Promise<MountTable> {
    return new MountTable(await readFile('/proc/self/mountinfo', 'latin1'));
  }

  /** Whether this filesystem is mounted in the mount namespace of process 1; undefined if that cannot be read. */
  async hostHas({ device }: Mount): Promise<boolean | undefined> {
    try {
      return new MountTable(await readFile('/proc/1/mountinfo', 'latin1')).has(device);
    } catch {
      return undefined;
    }
  }

  /** Whether something other than a folder is at this path. Asks only the mount table about a mount, as that may hang. */
  async isFile(path: string): Promise<boolean> {
    const place = Buffer.from(path).toString('latin1');
    if ((await this.table()).at(place)?.mountpoint === place) return false;
    return await stat(path).then(
      (found) => !found.isDirectory(),
      () => false,
    );
  }

  /** Makes a folder. Call it only if nothing is mounted there, as a mount may hang. */
  async makeFolder(path: string): Promise<void> {
    await mkdir(path, { recursive: true });
  }

  /** Makes `folder` a shared mount, so that mounts below it propagate to other mount namespaces. */
  async share(folder: string): Promise<ProgramResult> {
    const bound = await this.#change(['mount', '--bind', folder, folder]);
    return bound.outcome === 'done' ? this.#change(['mount', '--make-rshared', folder]) : bound;
  }

  /**
   * Mounts a FUSE filesystem without a daemon (the guard), which answers every call with ENOTCONN. While the network mount above
   * it is absent, programs get this error instead of an empty folder, which they would take for an empty library.
   */
  async guard(path: string): Promise<ProgramResult | undefined> {
    const descriptor = await openDescriptor('/dev/fuse', 'r+').catch(() => undefined);
    if (descriptor === undefined) return undefined;
    const options = 'fd=3,rootmode=40000,user_id=0,group_id=0,allow_other,ro';
    const command = ['mount', '-i', '-t', 'fuse', '-o', options, guardOrigin, path];
    const result = runProgram(command, { timeoutMs: changeTimeout, descriptor });
    // Now only the mount program holds the descriptor: when it ends, the filesystem has no daemon.
    await closeDescriptor(descriptor);
    return await result;
  }

  /**
   * Mounts a share. The options are passed in an fstab file that only root can read, as they may contain a password and command
   * lines are visible to all users. (util-linux does not accept a pipe.)
   */
  async mount({ type, origin, options }: KernelMount, path: string): Promise<ProgramResult> {
    const table = `${path}.fstab`;
    const line = [origin, path, type, options.join(',')].map(tableField).join(' ');
    await rm(table, { force: true });
    await writeFile(table, `${line} 0 0\n`, { mode: 0o600, flag: 'wx' });
    try {
      const command = [...this.#enter, 'mount', '-i', '-T', table, path];
      return await runProgram(command, { timeoutMs: mountTimeout });
    } finally {
      await rm(table, { force: true });
    }
  }

  /** Makes the mount at `from` also visible at `to` (bind mount). */
  async bind(from: string, to: string): Promise<ProgramResult> {
    return await this.#change(['mount', '--bind', from, to]);
  }

  async unmount(path: string): Promise<ProgramResult> {
    return await this.#change(['umount', '-i', path]);
  }

  /** Unmounts lazily. @param abort whether to fail the calls that wait for the server, as it will never answer. */
  async detach(path: string, abort: boolean): Promise<ProgramResult> {
    return await this.#change(['umount', '-i', ...(abort ? ['-f'] : []), '-l', path]);
  }

  /** Calls statfs(2), which sends a request to the server. */
  async probe(path: string, timeoutMs: number): Promise<ProgramResult> {
    return await runProgram(['stat', '-f', path], { timeoutMs });
  }

  /** @param kib the kernel's read-ahead for this filesystem. */
  async setReadAhead({ bdi }: Mount, kib: number): Promise<void> {
    await writeFile(`/sys/class/bdi/${bdi}/read_ahead_kb`, String(kib));
  }

  #change(command: readonly string[]): Promise<ProgramResult> {
    return runProgram(command, { timeoutMs: changeTimeout });
  }
}

/** The guard's source in the mount table. */
export const guardOrigin = 'holdfast-guard';

export const isGuard = ({ type, origin }: Pick<Mount, 'type' | 'origin'>): boolean =>
  type === 'fuse' && origin === guardOrigin;

/** Identifies a namespace. A path of `ip netns` is no symlink, unlike those in /proc: it is a bind mount of the namespace. */
async function namespaceOf(path: string): Promise<BigIntStats> {
  try {
    return await stat(path, { bigint: true });
  } catch (error) {
    const { code = 'unknown error' } = error as NodeJS.ErrnoException;
    const hint = path.startsWith('/proc/1/')
      ? "the host's processes must be visible (hostPID: true), or name another by --netns"
      : 'expected a path such as /run/netns/NAME';
    throw new Error(`--netns: ${path} cannot be read (${code}): ${hint}`, { cause: error });
  }
}
