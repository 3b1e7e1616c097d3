/** What the tree says, in the words of NFSv3 and MOUNT: one table for each. */
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
  // ELOOP has no status of its own; a path of symlinks is the client's to follow.
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
  // The Linux client waits 5 s and asks again, for as long as it takes.
  busy: NfsStatus.JUKEBOX,
  down: NfsStatus.JUKEBOX,
  again: NfsStatus.JUKEBOX,
  // Nobody reads it.
  cancelled: NfsStatus.JUKEBOX,
  // One object that does not answer while the source does: its reader gets an error, nobody else notices.
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

/** The error to throw at the protocol layer; what is not a tree error is a bug and stays as it is. */
export function toNfsError(error: unknown): unknown {
  return error instanceof TreeError ? new NfsError(nfsStatus[error.code], { cause: error }) : error;
}

export function toMountError(error: unknown): unknown {
  if (!(error instanceof TreeError)) return error;
  return new MountError(mountStatus[error.code] ?? MountStatus.SERVERFAULT, { cause: error });
}
