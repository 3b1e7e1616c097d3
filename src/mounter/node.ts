/**
 * What can be done to the mounts of a node. Everything that may hang runs in a process of its own with a deadline. Needed:
 * `mount`, `umount` and `stat`, and `nsenter` when the network namespace is another; those of busybox will do. mount.nfs and
 * mount.cifs are not needed, and not called (`-i`).
 */
import { close, open } from 'node:fs';
import { mkdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { MountTable, type Mount } from '../source/mount-table.ts';
import { tableField, type KernelMount } from './options.ts';
import { runProgram, type ProgramResult } from './program.ts';

const openDescriptor = promisify(open);
const closeDescriptor = promisify(close);

/** Milliseconds. A mount waits for the server; a change of the table does not. */
const mountTimeout = 30_000;
const changeTimeout = 5_000;

export class MountNode {
  readonly #enter: readonly string[];

  private constructor(enter: readonly string[]) {
    this.#enter = enter;
  }

  /** @param netns a network namespace; the client of a mount lives in that of the process that makes it. */
  static async in(netns: string): Promise<MountNode> {
    const [own, wanted] = await Promise.all([readlink('/proc/self/ns/net'), namespaceOf(netns)]);
    return new MountNode(own === wanted ? [] : ['nsenter', `--net=${netns}`]);
  }

  /** The mounts of this process's mount namespace. */
  async table(): Promise<MountTable> {
    return new MountTable(await readFile('/proc/self/mountinfo', 'latin1'));
  }

  /** Whether process 1 has this filesystem mounted somewhere; undefined when it cannot be asked. */
  async hostHas({ device }: Mount): Promise<boolean | undefined> {
    try {
      return new MountTable(await readFile('/proc/1/mountinfo', 'latin1')).has(device);
    } catch {
      return undefined;
    }
  }

  /** Only for a folder on which nothing is mounted: a mount may hang. */
  async makeFolder(path: string): Promise<void> {
    await mkdir(path, { recursive: true });
  }

  /** Has mounts made below `folder` reach other mount namespaces. */
  async share(folder: string): Promise<ProgramResult> {
    const bound = await this.#change(['mount', '--bind', folder, folder]);
    return bound.outcome === 'done' ? this.#change(['mount', '--make-rshared', folder]) : bound;
  }

  /**
   * Mounts a FUSE filesystem whose daemon is gone, which answers everything with ENOTCONN. What is under a network mount is seen
   * whenever that mount is not there, and an error is not mistaken for an empty library.
   */
  async guard(path: string): Promise<ProgramResult | undefined> {
    const descriptor = await openDescriptor('/dev/fuse', 'r+').catch(() => undefined);
    if (descriptor === undefined) return undefined;
    const options = 'fd=3,rootmode=40000,user_id=0,group_id=0,allow_other,ro';
    const command = ['mount', '-i', '-t', 'fuse', '-o', options, guardOrigin, path];
    const result = runProgram(command, { timeoutMs: changeTimeout, descriptor });
    // From now on the mount program alone is its daemon, until it ends.
    await closeDescriptor(descriptor);
    return await result;
  }

  /**
   * A fresh mount. Its options go through a table that only root can read: there may be a password among them, and arguments show
   * in the list of processes. (A pipe will not do: util-linux wants a regular file.)
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

  /** Shows what is mounted at `from` at `to` as well. */
  async bind(from: string, to: string): Promise<ProgramResult> {
    return await this.#change(['mount', '--bind', from, to]);
  }

  async unmount(path: string): Promise<ProgramResult> {
    return await this.#change(['umount', '-i', path]);
  }

  /** @param abort also fails what waits for the server: it will never answer. */
  async detach(path: string, abort: boolean): Promise<ProgramResult> {
    return await this.#change(['umount', '-i', ...(abort ? ['-f'] : []), '-l', path]);
  }

  /** Has the server say how much the filesystem holds: an answer comes over the network, an error may. */
  async probe(path: string, timeoutMs: number): Promise<ProgramResult> {
    return await runProgram(['stat', '-f', path], { timeoutMs });
  }

  /** @param kib how much the kernel reads ahead of a sequential reader of this filesystem. */
  async setReadAhead({ device }: Mount, kib: number): Promise<void> {
    // makedev(3), undone.
    const [major, minor] = [(device >>> 8) & 0xfff, (device & 0xff) | ((device >>> 12) & 0xfff00)];
    await writeFile(`/sys/class/bdi/${major}:${minor}/read_ahead_kb`, String(kib));
  }

  #change(command: readonly string[]): Promise<ProgramResult> {
    return runProgram(command, { timeoutMs: changeTimeout });
  }
}

/** How the guard shows in the mount table. */
export const guardOrigin = 'holdfast-guard';

export const isGuard = ({ type, origin }: Pick<Mount, 'type' | 'origin'>): boolean =>
  type === 'fuse' && origin === guardOrigin;

async function namespaceOf(path: string): Promise<string> {
  try {
    return await readlink(path);
  } catch (error) {
    throw new Error(
      `${path} cannot be read: the host's processes must be visible (hostPID: true), or name another by --netns`,
      { cause: error },
    );
  }
}
