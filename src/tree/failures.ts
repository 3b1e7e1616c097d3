/** Predicates on errors. */
import { TreeError, type TreeErrorCode } from './errors.ts';

export const failedWith = (error: unknown, ...codes: TreeErrorCode[]): boolean =>
  error instanceof TreeError && codes.includes(error.code);

/** The source or the object cannot be asked now: the last known answer may be used. */
export const isAway = (error: unknown): boolean => failedWith(error, 'down', 'timeout', 'busy');

/** A live source says that the object does not exist. */
export const isAbsent = (error: unknown): boolean => failedWith(error, 'noent', 'notdir');
