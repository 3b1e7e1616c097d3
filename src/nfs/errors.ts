/** Maps the tree's errors to the status codes of NFSv3 and MOUNT. */
import { MountError, MountStatus, NfsError, NfsStatus } from '@holdfast/nfs-rpc';
import { TreeError, type TreeErrorCode } from '../tree/errors.ts';

const nfsStatus: Readonly<Record<TreeErrorCode, NfsStatus>> = {
  noent: NfsStatus.NOENT,
  notdir: NfsStatus.NOTDIR,
  isdir: NfsStatus.ISDIR,
  acces: NfsStatus.ACCES,
  perm: NfsStatus.PERM,
  io: NfsStatus.IO,
  inval: NfsStatus.INVAL,
  exist: NfsStatus.EXIST,
  notempty: NfsStatus.NOTEMPTY,
  nametoolong: NfsStatus.NAMETOOLONG,
  // NFSv3 has no status for ELOOP. Clients follow symbolic links themselves.
  loop: NfsStatus.INVAL,
  rofs: NfsStatus.ROFS,
  nospc: NfsStatus.NOSPC,
  dquot: NfsStatus.DQUOT,
  fbig: NfsStatus.FBIG,
  xdev: NfsStatus.XDEV,
  mlink: NfsStatus.MLINK,
  notsupp: NfsStatus.NOTSUPP,
  badhandle: NfsStatus.BADHANDLE,
  stale: NfsStatus.STALE,
  // The Linux client retries every 5 s without end.
  busy: NfsStatus.JUKEBOX,
  down: NfsStatus.JUKEBOX,
  again: NfsStatus.JUKEBOX,
  // No client reads this reply.
  cancelled: NfsStatus.JUKEBOX,
  // Only this object does not answer, while the source does: its readers get an error, all others continue.
  timeout: NfsStatus.IO,
};

const mountStatus: Readonly<Partial<Record<TreeErrorCode, MountStatus>>> = {
  noent: MountStatus.NOENT,
  stale: MountStatus.NOENT,
  notdir: MountStatus.NOTDIR,
  acces: MountStatus.ACCES,
  perm: MountStatus.PERM,
  inval: MountStatus.INVAL,
  nametoolong: MountStatus.NAMETOOLONG,
  io: MountStatus.IO,
  timeout: MountStatus.IO,
};

/** Returns the error to throw at the protocol layer. Any error other than a TreeError is a bug and is returned as it is. */
export function toNfsError(error: unknown): unknown {
  return error instanceof TreeError ? new NfsError(nfsStatus[error.code], { cause: error }) : error;
}

export function toMountError(error: unknown): unknown {
  if (!(error instanceof TreeError)) return error;
  return new MountError(mountStatus[error.code] ?? MountStatus.SERVERFAULT, { cause: error });
}
