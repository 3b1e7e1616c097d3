/**
 * Resolves the symlinks of a path, as realpath(3) does, but sends no request to a FUSE mount at the path itself: its daemon may
 * be dead or hang, and the result must be the same as later, when it answers.
 */
import { readlink } from 'node:fs';
import type { Lane } from './lanes.ts';

/** The greatest number of symlinks that are followed, as in the kernel (ELOOP). */
const linksMax = 40;

const parts = (path: string) => path.split('/').filter((name) => name !== '' && name !== '.');

/**
 * Never rejects: a component that does not exist or cannot be read counts as no symlink.
 * @param path absolute, a byte string.
 * @returns the path without a slash at its end: '' for the root.
 */
export async function canonicalPath(path: string, lane: Lane): Promise<string> {
  const left = parts(path);
  let at = '';
  let links = 0;
  for (let name = left.shift(); name !== undefined; name = left.shift()) {
    if (name === '..') {
      at = at.slice(0, Math.max(0, at.lastIndexOf('/')));
      continue;
    }
    const next = `${at}/${name}`;
    const target = links < linksMax ? await targetOf(next, lane) : undefined;
    if (target === undefined) {
      at = next;
      continue;
    }
    links += 1;
    if (target.startsWith('/')) at = '';
    left.unshift(...parts(target));
  }
  return at;
}

/** For a mountpoint, the kernel returns EINVAL without a request to the daemon. */
const targetOf = (path: string, lane: Lane): Promise<string | undefined> =>
  lane
    .run<string>('', (done) => readlink(Buffer.from(path, 'latin1'), 'latin1', done))
    .catch(() => undefined);
