/**
 * Resolves the symlinks of a path, as realpath(3) does, without asking the FUSE mount to which it may lead: its daemon may be
 * dead or hang, and the path must be the same afterwards.
 */
import { readlink } from 'node:fs';
import type { Lane } from './lanes.ts';

/** The greatest number of symlinks that are followed, as in the kernel (ELOOP). */
const linksMax = 40;

const parts = (path: string) => path.split('/').filter((name) => name !== '' && name !== '.');

/**
 * @param path absolute, a byte string. What does not exist, or cannot be asked, counts as no symlink.
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

/** Linux answers EINVAL for a mounted directory by itself. */
const targetOf = (path: string, lane: Lane): Promise<string | undefined> =>
  lane
    .run<string>('', (done) => readlink(Buffer.from(path, 'latin1'), 'latin1', done))
    .catch(() => undefined);
