/** IOCTL, QUERY_DIRECTORY, CHANGE_NOTIFY, QUERY_INFO, SET_INFO ([MS-SMB2] 2.2.31 to 2.2.40). */
import { fileId } from './file-id.ts';
import { reserved, structure, structureSize, u8, u16, u32 } from './struct.ts';

export const ioctlRequest = structure('SMB2 IOCTL Request', '[MS-SMB2] 2.2.31', {
  structureSize: structureSize(57),
  reserved: reserved(2),
  controlCode: u32,
  fileId,
  inputOffset: u32,
  inputCount: u32,
  maxInputResponse: u32,
  outputOffset: u32,
  outputCount: u32,
  maxOutputResponse: u32,
  flags: u32,
  reserved2: reserved(4),
});

export const IOCTL_IS_FSCTL = 1;

export const ioctlResponse = structure('SMB2 IOCTL Response', '[MS-SMB2] 2.2.32', {
  structureSize: structureSize(49),
  reserved: reserved(2),
  controlCode: u32,
  fileId,
  inputOffset: u32,
  inputCount: u32,
  outputOffset: u32,
  outputCount: u32,
  flags: u32,
  reserved2: reserved(4),
});

export const queryDirectoryRequest = structure('SMB2 QUERY_DIRECTORY Request', '[MS-SMB2] 2.2.33', {
  structureSize: structureSize(33),
  informationClass: u8,
  flags: u8,
  fileIndex: u32,
  fileId,
  nameOffset: u16,
  nameLength: u16,
  outputBufferLength: u32,
});

export const QueryDirectoryFlags = {
  RESTART_SCANS: 0x01,
  RETURN_SINGLE_ENTRY: 0x02,
  INDEX_SPECIFIED: 0x04,
  REOPEN: 0x10,
} as const;

export const changeNotifyRequest = structure('SMB2 CHANGE_NOTIFY Request', '[MS-SMB2] 2.2.35', {
  structureSize: structureSize(32),
  flags: u16,
  outputBufferLength: u32,
  fileId,
  completionFilter: u32,
  reserved: reserved(4),
});

export const WATCH_TREE = 1;

export const queryInfoRequest = structure('SMB2 QUERY_INFO Request', '[MS-SMB2] 2.2.37', {
  structureSize: structureSize(41),
  infoType: u8,
  infoClass: u8,
  outputBufferLength: u32,
  inputBufferOffset: u16,
  reserved: reserved(2),
  inputBufferLength: u32,
  additionalInformation: u32,
  flags: u32,
  fileId,
});

export const InfoType = { FILE: 1, FILESYSTEM: 2, SECURITY: 3, QUOTA: 4 } as const;

/** The reply to QUERY_DIRECTORY (2.2.34), CHANGE_NOTIFY (2.2.36) and QUERY_INFO (2.2.38). */
export const outputBufferResponse = structure('SMB2 QUERY_INFO Response', '[MS-SMB2] 2.2.38', {
  structureSize: structureSize(9),
  outputBufferOffset: u16,
  outputBufferLength: u32,
});

export const setInfoRequest = structure('SMB2 SET_INFO Request', '[MS-SMB2] 2.2.39', {
  structureSize: structureSize(33),
  infoType: u8,
  infoClass: u8,
  bufferLength: u32,
  bufferOffset: u16,
  reserved: reserved(2),
  additionalInformation: u32,
  fileId,
});

export const setInfoResponse = structure('SMB2 SET_INFO Response', '[MS-SMB2] 2.2.40', {
  structureSize: structureSize(2),
});
