/** Resolves a path without a call into a FUSE mount: its daemon may be dead or hang. */
import { lstatSync, readlinkSync } from 'node:fs';
import { isFuse, type MountTable } from '../source/mount-table.ts';
import { followSymlinks, linksMax } from '../source/symlinks.ts';

const bytes = (path: string) => Buffer.from(path, 'utf8').toString('latin1');

/**
 * Follows symlinks up to the first FUSE mount.
 * @returns the resolved path, or undefined if it leads into a FUSE mount. Throws the error of lstat if it does not exist.
 */
export function landing(path: string, mounts: MountTable): string | undefined {
  const liesInFuse = (at: string) => {
    const mount = mounts.at(bytes(at));
    return mount !== undefined && isFuse(mount.type);
  };
  if (liesInFuse('/')) return undefined;
  const walk = followSymlinks(path);
  let links = 0;
  let step = walk.next();
  while (!step.done) {
    const at = step.value;
    if (liesInFuse(at)) return undefined;
    const target = lstatSync(at).isSymbolicLink() ? readlinkSync(at) : undefined;
    if (target !== undefined && ++links > linksMax)
      throw Object.assign(new Error('too many symlinks'), { code: 'ELOOP' });
    step = walk.next(target);
  }
  return step.value || '/';
}
