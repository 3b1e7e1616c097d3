import { fileId } from './file-id.ts';
import { reserved, structure, structureSize, u8, u16, u32, u64, size64 } from './struct.ts';

export const createRequest = structure('SMB2 CREATE Request', '[MS-SMB2] 2.2.13', {
  structureSize: structureSize(57),
  securityFlags: u8,
  oplockLevel: u8,
  impersonationLevel: u32,
  smbCreateFlags: u64,
  reserved: reserved(8),
  desiredAccess: u32,
  fileAttributes: u32,
  shareAccess: u32,
  disposition: u32,
  options: u32,
  nameOffset: u16,
  nameLength: u16,
  contextsOffset: u32,
  contextsLength: u32,
});

export const createResponse = structure('SMB2 CREATE Response', '[MS-SMB2] 2.2.14', {
  structureSize: structureSize(89),
  oplockLevel: u8,
  flags: u8,
  createAction: u32,
  creationTime: u64,
  lastAccessTime: u64,
  lastWriteTime: u64,
  changeTime: u64,
  allocationSize: size64,
  endOfFile: size64,
  fileAttributes: u32,
  reserved2: reserved(4),
  fileId,
  contextsOffset: u32,
  contextsLength: u32,
});

export const closeRequest = structure('SMB2 CLOSE Request', '[MS-SMB2] 2.2.15', {
  structureSize: structureSize(24),
  flags: u16,
  reserved: reserved(4),
  fileId,
});

/** Flag of a CLOSE: the reply carries attributes. */
export const CLOSE_POSTQUERY_ATTRIB = 1;

export const closeResponse = structure('SMB2 CLOSE Response', '[MS-SMB2] 2.2.16', {
  structureSize: structureSize(60),
  flags: u16,
  reserved: reserved(4),
  creationTime: u64,
  lastAccessTime: u64,
  lastWriteTime: u64,
  changeTime: u64,
  allocationSize: size64,
  endOfFile: size64,
  fileAttributes: u32,
});
