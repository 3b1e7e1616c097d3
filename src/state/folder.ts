/** Makes folders one level at a time, with errors for people. For start-up only: it blocks. */
import { lstatSync, mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Returns the folders of an absolute path that do not exist, the outermost first, and the folder in which they would be
 * made. Throws an Error of one line if there is something else in their place.
 */
export function missingFolders(path: string): { inside: string; missing: readonly string[] } {
  const missing: string[] = [];
  let at = path;
  for (; !isFolder(at); at = dirname(at)) missing.unshift(at);
  return { inside: at, missing };
}

/**
 * Not mkdirSync(recursive): that of Node 20 never returns where mkdir(2) answers ENOENT in a folder that exists, as in
 * /proc.
 */
export function makeFolder(path: string): void {
  for (const folder of missingFolders(path).missing) {
    try {
      mkdirSync(folder, { mode: 0o700 });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // Another process may have made it meanwhile.
      if (code === 'EEXIST' && isFolder(folder)) continue;
      const problem = `the folder ${folder} cannot be made (${code ?? 'unknown error'})`;
      throw new Error(`${problem}: set \`state\` to a folder that this user can write to`, { cause: error });
    }
  }
}

function isFolder(path: string): boolean {
  try {
    if (statSync(path).isDirectory()) return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // A parent is looked at next.
    if (code === 'ENOTDIR') return false;
    if (code !== 'ENOENT')
      throw new Error(`${path} cannot be accessed (${code ?? 'unknown error'})`, { cause: error });
    if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() !== true) return false;
    throw new Error(`${path} is a link to something that does not exist`, { cause: error });
  }
  throw new Error(`${path} is not a folder`);
}
