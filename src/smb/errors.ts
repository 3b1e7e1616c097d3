/** What the tree says, in the words of SMB: one table. */
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
  // The object of an open is gone for good; the client reopens by path and hears that it does not exist.
  stale: Status.FILE_CLOSED,
  // EAGAIN for the Linux client, which asks again for as long as the mount is `hard`.
  busy: Status.RETRY,
  down: Status.RETRY,
  again: Status.RETRY,
  cancelled: Status.CANCELLED,
  // EIO at once: one object that does not answer while the source does.
  timeout: Status.UNEXPECTED_IO_ERROR,
};

/** The error to throw at the protocol layer; what is not a tree error is a bug and stays as it is. */
export function toStatusError(error: unknown): unknown {
  if (!(error instanceof TreeError)) return error;
  if (error.code === 'again') return new BufferLostError(error.message, { cause: error });
  return new StatusError(status[error.code], { cause: error, message: error.message });
}
