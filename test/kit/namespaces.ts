/** Network namespaces of tests, by their names below /run/netns: `PREFIXpid-…`. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';

/** Kills everything in the namespace and removes it. */
export function removeNamespace(name: string): void {
  if (!existsSync(`/run/netns/${name}`)) return;
  const pids = execFileSync('ip', ['netns', 'pids', name], { encoding: 'utf8' }).split('\n');
  for (const pid of pids.map(Number)) {
    try {
      if (pid > 0) process.kill(pid, 'SIGKILL');
    } catch {
      // It has already ended.
    }
  }
  execFileSync('ip', ['netns', 'delete', name], { stdio: 'ignore' });
}

/** Whether a name belongs to a process that has ended. */
export function isLeftover(name: string, prefix: string): boolean {
  const pid = new RegExp(`^${prefix}(\\d+)-`).exec(name)?.[1];
  return pid !== undefined && !existsSync(`/proc/${pid}`);
}

/** Namespaces of processes that died without cleaning up. */
export const leftoverNamespaces = (prefix: string): string[] =>
  existsSync('/run/netns') ? readdirSync('/run/netns').filter((name) => isLeftover(name, prefix)) : [];
