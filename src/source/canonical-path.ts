/**
 * Resolves the symlinks of a path, as realpath(3) does, but sends no request to a FUSE mount at the path itself: its daemon may
 * be dead or hang, and the result must be the same as later, when it answers.
 */
import { readlink } from 'node:fs';
import type { Lane } from './lanes.ts';
import { followSymlinks, linksMax } from './symlinks.ts';

/**
 * Never rejects: a component that does not exist or cannot be read counts as no symlink.
 * @param path absolute, a byte string.
 * @returns the path without a slash at its end: '' for the root.
 */
export async function canonicalPath(path: string, lane: Lane): Promise<string> {
  const walk = followSymlinks(path);
  let links = 0;
  let step = walk.next();
  while (!step.done) {
    const target = links < linksMax ? await targetOf(step.value, lane) : undefined;
    if (target !== undefined) links += 1;
    step = walk.next(target);
  }
  return step.value;
}

/** For a mountpoint, the kernel returns EINVAL without a request to the daemon. */
const targetOf = (path: string, lane: Lane): Promise<string | undefined> =>
  lane
    .run<string>('', (done) => readlink(Buffer.from(path, 'latin1'), 'latin1', done))
    .catch(() => undefined);
