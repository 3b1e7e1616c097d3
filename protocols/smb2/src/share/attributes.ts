import type { NodeAttributes } from '../backend.ts';
import { FileAttribute } from '../wire/constants.ts';

/** FILE_ATTRIBUTE_* for the wire ([MS-FSCC] 2.6). NORMAL means "no other attribute". */
export function fileAttributes(attributes: NodeAttributes): number {
  let result = attributes.dosAttributes & ~FileAttribute.NORMAL;
  if (attributes.kind === 'directory') result |= FileAttribute.DIRECTORY;
  if (attributes.kind === 'symlink') result |= FileAttribute.REPARSE_POINT;
  return result === 0 ? FileAttribute.NORMAL : result;
}

/**
 * The id that clients see. A directory that is also reached through a followed link has a second id there, because cifs
 * stops using inode numbers on a mount when two directories share one. Files may have the same id under several names.
 * @param alias id of the links on the path; 0 without any.
 */
export const presentedId = ({ kind, id }: NodeAttributes, alias: bigint): bigint =>
  kind === 'directory' && alias !== 0n && id !== alias ? id ^ alias : id;

/** Directories have size 0. */
export const endOfFile = (attributes: NodeAttributes): number =>
  attributes.kind === 'directory' ? 0 : attributes.size;

export const allocationSize = (attributes: NodeAttributes): number =>
  attributes.kind === 'directory' ? 0 : attributes.allocationSize;
