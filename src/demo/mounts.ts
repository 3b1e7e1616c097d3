import { execFile, execFileSync } from 'node:child_process';
import { readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Prefix of this project's folders in the temp folder: `holdfast-fuse-PID-XXXXXX`, with the id of their process. */
export const FOLDER_PREFIX = 'holdfast-fuse-';

/** All mountpoints, from /proc/self/mounts. Never touches the mounts themselves. */
export function mountpoints(): string[] {
  const lines = readFileSync('/proc/self/mounts', 'utf8').split('\n');
  return lines
    .map((line) => line.split(' ')[1] ?? '')
    .filter((path) => path !== '')
    .map((path) =>
      path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8))),
    );
}

export function isMounted(path: string): boolean {
  return mountpoints().includes(path);
}

/** Unmounts; with `lazy` also a dead or busy mount. Rejects with the error of umount ("target is busy"). */
export async function unmountPath(path: string, lazy: boolean): Promise<void> {
  if (process.getuid?.() === 0) await run('umount', lazy ? ['-l', path] : [path]);
  else await run('fusermount', [lazy ? '-uz' : '-u', path]);
}

/** Detaches every mount at `path`, synchronously: for process 'exit' hooks. Never throws. */
export function detachNow(path: string): void {
  for (const mounted of mountpoints().filter((mountpoint) => mountpoint === path)) {
    for (const [command, flag] of [
      ['umount', '-l'],
      ['fusermount', '-uz'],
    ] as const) {
      try {
        execFileSync(command, [flag, mounted], { stdio: 'ignore' });
        break;
      } catch {
        // Try the other command: this process may lack the right to use this one.
      }
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/**
 * Unmounts and removes the folders in the temp folder whose process has died without cleaning up.
 * @param prefix of the folders' names; the process's id and a dash follow it.
 */
export function sweepLeftovers(prefix = FOLDER_PREFIX): void {
  for (const name of readdirSync(tmpdir())) {
    const pid = new RegExp(`^${prefix}(\\d+)-`).exec(name)?.[1];
    if (pid === undefined || isAlive(Number(pid))) continue;
    const folder = join(tmpdir(), name);
    for (const path of mountpoints()) if (path.startsWith(`${folder}/`)) detachNow(path);
    rmSync(folder, { recursive: true, force: true });
  }
}
