import { reserved, structure, structureSize, u8, u16, u32 } from './struct.ts';

export const errorResponse = structure('SMB2 ERROR Response', '[MS-SMB2] 2.2.2', {
  structureSize: structureSize(9),
  contextCount: u8,
  reserved: reserved(1),
  byteCount: u32,
});

/** With dialect 3.1.1 this precedes the error data. */
export const errorContext = structure('SMB2 ERROR Context', '[MS-SMB2] 2.2.2.1', {
  dataLength: u32,
  errorId: u32,
});

const symlinkError = structure('Symbolic Link Error Response', '[MS-SMB2] 2.2.2.2.1', {
  symLinkLength: u32,
  symLinkErrorTag: u32,
  reparseTag: u32,
  reparseDataLength: u16,
  unparsedPathLength: u16,
  substituteNameOffset: u16,
  substituteNameLength: u16,
  printNameOffset: u16,
  printNameLength: u16,
  flags: u32,
});

const SYMLINK_ERROR_TAG = 0x4c4d5953;
export const IO_REPARSE_TAG_SYMLINK = 0xa000000c;
const SYMLINK_FLAG_RELATIVE = 1;

/**
 * Error data of STOPPED_ON_SYMLINK.
 * @param target with backslashes, as the client has to substitute it.
 * @param unparsed the part of the CREATE's name after the link.
 */
export function encodeSymlinkError(target: string, unparsed: string): Buffer {
  const name = Buffer.from(target, 'utf16le');
  const size = symlinkError.size + 2 * name.length;
  return symlinkError.toBuffer(
    {
      symLinkLength: size - 4,
      symLinkErrorTag: SYMLINK_ERROR_TAG,
      reparseTag: IO_REPARSE_TAG_SYMLINK,
      reparseDataLength: 12 + 2 * name.length,
      unparsedPathLength: 2 * unparsed.length,
      substituteNameOffset: 0,
      substituteNameLength: name.length,
      printNameOffset: name.length,
      printNameLength: name.length,
      flags: target.startsWith('\\') ? 0 : SYMLINK_FLAG_RELATIVE,
    },
    Buffer.concat([name, name]),
  );
}

const reparseSymlink = structure('SYMBOLIC_LINK_REPARSE_DATA_BUFFER', '[MS-FSCC] 2.1.2.4', {
  reparseTag: u32,
  reparseDataLength: u16,
  reserved: reserved(2),
  substituteNameOffset: u16,
  substituteNameLength: u16,
  printNameOffset: u16,
  printNameLength: u16,
  flags: u32,
});

export function encodeSymlinkReparse(target: string): Buffer {
  const name = Buffer.from(target, 'utf16le');
  return reparseSymlink.toBuffer(
    {
      reparseTag: IO_REPARSE_TAG_SYMLINK,
      reparseDataLength: 12 + 2 * name.length,
      substituteNameOffset: 0,
      substituteNameLength: name.length,
      printNameOffset: name.length,
      printNameLength: name.length,
      flags: target.startsWith('\\') ? 0 : SYMLINK_FLAG_RELATIVE,
    },
    Buffer.concat([name, name]),
  );
}
