import { type ByteString, NfsError } from '../backend.ts';
import { MAX_NAME } from '../limits.ts';
import { NfsStatus } from '../status.ts';

/**
 * A name for the backend: 1..255 bytes without NUL and `/`. RFC 1813 leaves the status of an impossible name open; these
 * are the ones Linux gives for it. `.` and `..` are the procedure's to judge.
 */
export function checkName(name: ByteString): void {
  if (name.length > MAX_NAME) throw new NfsError(NfsStatus.NAMETOOLONG);
  if (name.length === 0 || name.includes('/') || name.includes('\0')) throw new NfsError(NfsStatus.ACCES);
}

export const isDots = (name: ByteString): boolean => name === '.' || name === '..';

/** A name to be made: the two that every directory has exist already. */
export function checkNewName(name: ByteString): void {
  checkName(name);
  if (isDots(name)) throw new NfsError(NfsStatus.EXIST);
}

/** A name to be taken away: never one of those two (RFC 1813 §3.3.13, §3.3.14). */
export function checkOldName(name: ByteString): void {
  checkName(name);
  if (isDots(name)) throw new NfsError(NfsStatus.INVAL);
}
