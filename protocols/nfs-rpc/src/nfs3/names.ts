import { type ByteString, NfsError } from '../backend.ts';
import { MAX_NAME } from '../limits.ts';
import { NfsStatus } from '../status.ts';

/**
 * Checks a name for the backend: 1 to 255 bytes, no NUL, no `/`. RFC 1813 does not say which status an impossible name
 * gets; these are the ones that Linux uses. The procedures handle `.` and `..` themselves.
 */
export function checkName(name: ByteString): void {
  if (name.length > MAX_NAME) throw new NfsError(NfsStatus.NAMETOOLONG);
  if (name.length === 0 || name.includes('/') || name.includes('\0')) throw new NfsError(NfsStatus.ACCES);
}

export const isDots = (name: ByteString): boolean => name === '.' || name === '..';

/** Checks the name of an object to create: `.` and `..` exist already. */
export function checkNewName(name: ByteString): void {
  checkName(name);
  if (isDots(name)) throw new NfsError(NfsStatus.EXIST);
}

/** Checks the name of an object to remove or rename: not `.` or `..` (RFC 1813 §3.3.12, §3.3.14). */
export function checkOldName(name: ByteString): void {
  checkName(name);
  if (isDots(name)) throw new NfsError(NfsStatus.INVAL);
}
