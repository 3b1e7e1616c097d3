/**
 * Errors below the protocols. Each protocol adapter maps every code to its own status in one table. Imports nothing.
 *
 * - `down`: the source is absent or cannot be trusted now. Says nothing about the file.
 * - `again`: as `down`, but the kernel may still write to the read's buffer: retry with another buffer.
 * - `cancelled`: the client no longer waits for the answer.
 * - `timeout`: this call missed its deadline while the source answers others.
 * - `busy`: a limit of this process was reached: retry later.
 * - `stale`: a healthy source says that the object of a handle no longer exists.
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
  /** For `down`: the place of the absent mount, below the root; undefined if unknown. */
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
  // Shortages of this process. EAGAIN, EBUSY and EINTR come from the daemon and are I/O errors.
  EMFILE: 'busy',
  ENFILE: 'busy',
  ENOMEM: 'busy',
  // The FUSE connection is lost: the daemon died, was unmounted or aborted.
  ENOTCONN: 'down',
  ENODEV: 'down',
  ECONNABORTED: 'down',
  ECONNREFUSED: 'down',
  ESHUTDOWN: 'down',
  EHOSTDOWN: 'down',
};

/** Linux errnos without a name in libuv ("Unknown system error -122"). Others, such as ESTALE (116), are I/O errors. */
const byNumber: Readonly<Record<number, string>> = {
  122: 'EDQUOT',
};

/** Whether the code says that the object does not exist. */
export const isAbsence = (code: TreeErrorCode): boolean => code === 'noent' || code === 'notdir';

/** Converts the error of an fs call. An errno that is not listed becomes an I/O error. */
export function fromErrno(error: unknown): TreeError {
  if (error instanceof TreeError) return error;
  const { code: name = '', errno = 0 } = error as { code?: string; errno?: number };
  const code = byErrno[name] ?? byErrno[byNumber[Math.abs(errno)] ?? ''] ?? 'io';
  return new TreeError(code, error instanceof Error ? error.message : code, { cause: error });
}

/** Whether the kernel may still write to the buffer of a read that failed so. */
export const ownsBuffer = (error: unknown): boolean =>
  error instanceof TreeError && (error.code === 'timeout' || error.code === 'again');

/** The error to report for several failed parts of one read, at least one: `timeout` and `again` come first, see ownsBuffer. */
export function worstOf<E>(errors: readonly E[]): E {
  const has = (code: TreeErrorCode) => errors.find((one) => one instanceof TreeError && one.code === code);
  return has('timeout') ?? has('again') ?? errors[0]!;
}
