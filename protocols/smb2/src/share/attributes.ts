import type { NodeAttributes } from '../backend.ts';
import { FileAttribute } from '../wire/constants.ts';

/** FILE_ATTRIBUTE_* as clients see them ([MS-FSCC] 2.6): NORMAL stands for none. */
export function fileAttributes(attributes: NodeAttributes): number {
  let result = attributes.dosAttributes & ~FileAttribute.NORMAL;
  if (attributes.kind === 'directory') result |= FileAttribute.DIRECTORY;
  if (attributes.kind === 'symlink') result |= FileAttribute.REPARSE_POINT;
  return result === 0 ? FileAttribute.NORMAL : result;
}

/**
 * The id that clients are told. A directory that is seen at two places, since a link to it is followed, has two: cifs gives up
 * inode numbers for a whole mount when two directories share one. Files may have several names.
 * @param alias of the way it was reached by.
 */
export const presentedId = ({ kind, id }: NodeAttributes, alias: bigint): bigint =>
  kind === 'directory' && alias !== 0n && id !== alias ? id ^ alias : id;

/** Directories have neither size nor allocation. */
export const endOfFile = (attributes: NodeAttributes): number =>
  attributes.kind === 'directory' ? 0 : attributes.size;

export const allocationSize = (attributes: NodeAttributes): number =>
  attributes.kind === 'directory' ? 0 : attributes.allocationSize;
