/** Follows the symlinks of a path component by component, as the kernel does. How links are read is up to the caller. */

/** The greatest number of symlinks that a caller follows, as in the kernel (ELOOP). */
export const linksMax = 40;

const parts = (path: string) => path.split('/').filter((name) => name !== '' && name !== '.');

/**
 * Yields each component as a path without symlinks before its last name, and expects the target if that is a symlink.
 * @param path absolute.
 * @returns the path without symlinks and without a slash at its end: '' for the root.
 */
export function* followSymlinks(path: string): Generator<string, string, string | undefined> {
  const left = parts(path);
  let at = '';
  for (let name = left.shift(); name !== undefined; name = left.shift()) {
    if (name === '..') {
      // `at` has no symlink in it.
      at = at.slice(0, Math.max(0, at.lastIndexOf('/')));
      continue;
    }
    const next = `${at}/${name}`;
    const target = yield next;
    if (target === undefined) at = next;
    else {
      if (target.startsWith('/')) at = '';
      left.unshift(...parts(target));
    }
  }
  return at;
}
