/**
 * What can go wrong below the protocols. Each protocol adapter maps every code to its own status in one table.
 * Imports nothing.
 *
 * - `down`: the source is not there (or cannot be trusted) now; never a statement about the file.
 * - `again`: as `down`, for a read whose buffer may still be written to; it must be made again with another.
 * - `cancelled`: nobody waits for the answer any more.
 * - `timeout`: this one call missed its deadline while the source answers others.
 * - `busy`: a bound of ours was reached; try again.
 * - `stale`: a healthy source says that an object named by a handle is gone.
 */
export type TreeErrorCode =
  | 'noent'
  | 'notdir'
  | 'isdir'
  | 'acces'
  | 'perm'
  | 'io'
  | 'inval'
  | 'exist'
  | 'notempty'
  | 'nametoolong'
  | 'loop'
  | 'rofs'
  | 'nospc'
  | 'dquot'
  | 'fbig'
  | 'xdev'
  | 'mlink'
  | 'notsupp'
  | 'badhandle'
  | 'stale'
  | 'busy'
  | 'timeout'
  | 'again'
  | 'cancelled'
  | 'down';

export class TreeError extends Error {
  override readonly name = 'TreeError';
  readonly code: TreeErrorCode;
  /** Of a source that is away: where its mount is, below the root. Undefined where that is not known. */
  base: string | undefined;
  constructor(code: TreeErrorCode, message?: string, options?: ErrorOptions) {
    super(message ?? code, options);
    this.code = code;
  }
}

const byErrno: Readonly<Record<string, TreeErrorCode>> = {
  ENOENT: 'noent',
  ENOTDIR: 'notdir',
  EISDIR: 'isdir',
  EACCES: 'acces',
  EPERM: 'perm',
  EINVAL: 'inval',
  EEXIST: 'exist',
  ENOTEMPTY: 'notempty',
  ENAMETOOLONG: 'nametoolong',
  ELOOP: 'loop',
  EROFS: 'rofs',
  ENOSPC: 'nospc',
  EDQUOT: 'dquot',
  EFBIG: 'fbig',
  EXDEV: 'xdev',
  EMLINK: 'mlink',
  ENOSYS: 'notsupp',
  EOPNOTSUPP: 'notsupp',
  ENOTSUP: 'notsupp',
  // Shortages of our own. What a daemon says in this way (EAGAIN, EBUSY, EINTR) is an error of the call.
  EMFILE: 'busy',
  ENFILE: 'busy',
  ENOMEM: 'busy',
  // The FUSE connection is gone or going: the daemon died, was unmounted or aborted.
  ENOTCONN: 'down',
  ENODEV: 'down',
  ECONNABORTED: 'down',
  ECONNREFUSED: 'down',
  ESHUTDOWN: 'down',
  EHOSTDOWN: 'down',
};

/** Numbers of Linux for which libuv has no name ("Unknown system error -122"). ESTALE (116) and others are I/O errors. */
const byNumber: Readonly<Record<number, string>> = {
  122: 'EDQUOT',
};

/** Whether the answer was that there is no such object. */
export const isAbsence = (code: TreeErrorCode): boolean => code === 'noent' || code === 'notdir';

/** The tree error of a failed fs call; an errno that is not listed is an I/O error. */
export function fromErrno(error: unknown): TreeError {
  if (error instanceof TreeError) return error;
  const { code: name = '', errno = 0 } = error as { code?: string; errno?: number };
  const code = byErrno[name] ?? byErrno[byNumber[Math.abs(errno)] ?? ''] ?? 'io';
  return new TreeError(code, error instanceof Error ? error.message : code, { cause: error });
}
