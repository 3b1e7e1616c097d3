/** Errors of files that the command line names, in plain words. */
import { dirname, resolve } from 'node:path';

const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code ?? 'unknown error';

/** Why a file cannot be written. */
export function cannotWrite(file: string, error: unknown): string {
  const code = codeOf(error);
  const folder = dirname(resolve(file));
  switch (code) {
    case 'ENOENT':
      return `the folder ${folder} does not exist`;
    case 'ENOTDIR':
      return `${folder} is not a folder`;
    case 'EISDIR':
      return `${file} is a folder; expected a file`;
    case 'EACCES':
    case 'EPERM':
      return `this user may not write to the folder ${folder}`;
    case 'EROFS':
      return `the folder ${folder} is on a read-only filesystem`;
    case 'ENOSPC':
      return `the filesystem of ${folder} is full`;
    default:
      return `${file} cannot be written (${code})`;
  }
}

/** Why a file or a folder cannot be read. */
export function cannotRead(path: string, error: unknown): string {
  const code = codeOf(error);
  switch (code) {
    case 'ENOENT':
      return `${path} does not exist`;
    case 'ENOTDIR':
      return `${path} does not exist, or is not a folder`;
    case 'EISDIR':
      return `${path} is a folder; expected a file`;
    case 'EACCES':
    case 'EPERM':
      return `this user may not read ${path}`;
    default:
      return `${path} cannot be read (${code})`;
  }
}
