/** Resolves a path without a call into a FUSE mount: its daemon may be dead or hang. */
import { lstatSync, readlinkSync } from 'node:fs';
import { isAbsolute, resolve, sep } from 'node:path';
import { isFuse, type MountTable } from '../source/mount-table.ts';

/** The greatest number of symlinks that are followed, as in the kernel (ELOOP). */
const linksMax = 40;

const bytes = (path: string) => Buffer.from(path, 'utf8').toString('latin1');

/**
 * Follows symlinks up to the first FUSE mount.
 * @returns the resolved path, or undefined if it leads into a FUSE mount. Throws the error of lstat if it does not exist.
 */
export function landing(path: string, mounts: MountTable): string | undefined {
  let left = path.split(sep).filter(Boolean);
  let at: string = sep;
  for (let links = 0; ;) {
    const mount = mounts.at(bytes(at));
    if (mount && isFuse(mount.type)) return undefined;
    const [name, ...rest] = left;
    if (name === undefined) return at;
    // `at` has no symlink in it, so `..` of a target is its parent.
    const next = resolve(at, name);
    const under = mounts.at(bytes(next));
    if (!(under && isFuse(under.type)) && lstatSync(next).isSymbolicLink()) {
      if (++links > linksMax) throw Object.assign(new Error('too many symlinks'), { code: 'ELOOP' });
      const target = readlinkSync(next);
      left = [...target.split(sep).filter(Boolean), ...rest];
      if (isAbsolute(target)) at = sep;
    } else {
      left = rest;
      at = next;
    }
  }
}
