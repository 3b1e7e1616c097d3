/** Maps the tree's errors to SMB status codes. */
import { BufferLostError, Status, StatusError, type NtStatus } from '@tsmb2/server';
import { TreeError, type TreeErrorCode } from '../tree/errors.ts';

const status: Readonly<Record<TreeErrorCode, NtStatus>> = {
  noent: Status.OBJECT_NAME_NOT_FOUND,
  notdir: Status.OBJECT_PATH_NOT_FOUND,
  isdir: Status.FILE_IS_A_DIRECTORY,
  acces: Status.ACCESS_DENIED,
  perm: Status.ACCESS_DENIED,
  io: Status.UNEXPECTED_IO_ERROR,
  inval: Status.INVALID_PARAMETER,
  exist: Status.OBJECT_NAME_COLLISION,
  notempty: Status.DIRECTORY_NOT_EMPTY,
  nametoolong: Status.OBJECT_NAME_INVALID,
  loop: Status.OBJECT_PATH_SYNTAX_BAD,
  rofs: Status.MEDIA_WRITE_PROTECTED,
  nospc: Status.DISK_FULL,
  dquot: Status.DISK_FULL,
  fbig: Status.DISK_FULL,
  xdev: Status.NOT_SUPPORTED,
  mlink: Status.NOT_SUPPORTED,
  notsupp: Status.NOT_SUPPORTED,
  badhandle: Status.INVALID_HANDLE,
  // The object behind the open no longer exists. The client reopens by path and learns that.
  stale: Status.FILE_CLOSED,
  // The Linux client maps RETRY to EAGAIN and retries for as long as the mount is `hard`.
  busy: Status.RETRY,
  down: Status.RETRY,
  again: Status.RETRY,
  cancelled: Status.CANCELLED,
  // EIO at once: only this object does not answer, while the source does.
  timeout: Status.UNEXPECTED_IO_ERROR,
};

/** Returns the error to throw at the protocol layer. Any error other than a TreeError is a bug and is returned as it is. */
export function toStatusError(error: unknown): unknown {
  if (!(error instanceof TreeError)) return error;
  if (error.code === 'again') return new BufferLostError(error.message, { cause: error });
  return new StatusError(status[error.code], { cause: error, message: error.message });
}
