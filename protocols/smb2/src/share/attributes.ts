import type { NodeAttributes } from '../backend.ts';
import { FileAttribute } from '../wire/constants.ts';

/** FILE_ATTRIBUTE_* as clients see them ([MS-FSCC] 2.6): NORMAL stands for none. */
export function fileAttributes(attributes: NodeAttributes): number {
  let result = attributes.dosAttributes & ~FileAttribute.NORMAL;
  if (attributes.kind === 'directory') result |= FileAttribute.DIRECTORY;
  if (attributes.kind === 'symlink') result |= FileAttribute.REPARSE_POINT;
  return result === 0 ? FileAttribute.NORMAL : result;
}

/** Directories have neither size nor allocation. */
export const endOfFile = (attributes: NodeAttributes): number =>
  attributes.kind === 'directory' ? 0 : attributes.size;

export const allocationSize = (attributes: NodeAttributes): number =>
  attributes.kind === 'directory' ? 0 : attributes.allocationSize;
