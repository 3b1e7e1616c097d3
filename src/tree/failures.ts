/** Questions about a failure. */
import { TreeError, type TreeErrorCode } from './errors.ts';

export const failedWith = (error: unknown, ...codes: TreeErrorCode[]): boolean =>
  error instanceof TreeError && codes.includes(error.code);

/** The source, or this object, cannot be asked now: what was known last is still good. */
export const isAway = (error: unknown): boolean => failedWith(error, 'down', 'timeout', 'busy');

/** A live source says that there is no such object. */
export const isAbsent = (error: unknown): boolean => failedWith(error, 'noent', 'notdir');
