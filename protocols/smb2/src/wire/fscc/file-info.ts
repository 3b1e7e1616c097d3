/** File information classes of fixed layout ([MS-FSCC] 2.4). */
import { flag, reserved, size64, structure, u32, u64, u8, u16, bytes } from '../struct.ts';

export const FileClass = {
  BASIC: 4,
  STANDARD: 5,
  INTERNAL: 6,
  EA: 7,
  ACCESS: 8,
  NAME: 9,
  RENAME: 10,
  LINK: 11,
  DISPOSITION: 13,
  POSITION: 14,
  FULL_EA: 15,
  MODE: 16,
  ALIGNMENT: 17,
  ALL: 18,
  ALLOCATION: 19,
  END_OF_FILE: 20,
  ALTERNATE_NAME: 21,
  STREAM: 22,
  PIPE: 23,
  PIPE_LOCAL: 24,
  COMPRESSION: 28,
  NETWORK_OPEN: 34,
  ATTRIBUTE_TAG: 35,
  VALID_DATA_LENGTH: 39,
  SHORT_NAME: 40,
  NORMALIZED_NAME: 48,
  ID: 59,
  DISPOSITION_EX: 64,
  RENAME_EX: 65,
  POSIX: 0x64,
} as const;

const stamps = { creationTime: u64, lastAccessTime: u64, lastWriteTime: u64, changeTime: u64 };

export const basicInfo = structure('FileBasicInformation', '[MS-FSCC] 2.4.7', {
  ...stamps,
  fileAttributes: u32,
  reserved: reserved(4),
});

export const standardInfo = structure('FileStandardInformation', '[MS-FSCC] 2.4.47', {
  allocationSize: size64,
  endOfFile: size64,
  links: u32,
  deletePending: flag,
  directory: flag,
  reserved: reserved(2),
});

export const internalInfo = structure('FileInternalInformation', '[MS-FSCC] 2.4.27', { indexNumber: u64 });
export const eaInfo = structure('FileEaInformation', '[MS-FSCC] 2.4.13', { eaSize: u32 });
export const accessInfo = structure('FileAccessInformation', '[MS-FSCC] 2.4.1', { accessFlags: u32 });
export const positionInfo = structure('FilePositionInformation', '[MS-FSCC] 2.4.40', {
  currentOffset: size64,
});
export const modeInfo = structure('FileModeInformation', '[MS-FSCC] 2.4.31', { mode: u32 });
export const alignmentInfo = structure('FileAlignmentInformation', '[MS-FSCC] 2.4.3', { requirement: u32 });

export const networkOpenInfo = structure('FileNetworkOpenInformation', '[MS-FSCC] 2.4.34', {
  ...stamps,
  allocationSize: size64,
  endOfFile: size64,
  fileAttributes: u32,
  reserved: reserved(4),
});

export const attributeTagInfo = structure('FileAttributeTagInformation', '[MS-FSCC] 2.4.6', {
  fileAttributes: u32,
  reparseTag: u32,
});

export const compressionInfo = structure('FileCompressionInformation', '[MS-FSCC] 2.4.9', {
  compressedFileSize: size64,
  compressionFormat: u16,
  unitShifts: reserved(6),
});

export const idInfo = structure('FileIdInformation', '[MS-FSCC] 2.4.26', {
  volumeSerial: u64,
  fileId: u64,
  high: reserved(8),
});

export const posixInfo = structure('FilePosixInformation', 'SMB3 POSIX extensions', {
  ...stamps,
  endOfFile: size64,
  allocationSize: size64,
  fileAttributes: u32,
  inode: u64,
  deviceId: u32,
  zero: reserved(4),
});

export const streamEntry = structure('FileStreamInformation', '[MS-FSCC] 2.4.49', {
  next: u32,
  nameLength: u32,
  size: size64,
  allocationSize: size64,
});

export const renameInfo = structure('FileRenameInformation', '[MS-FSCC] 2.4.42.2', {
  replaceIfExists: u8,
  reserved: reserved(7),
  rootDirectory: u64,
  nameLength: u32,
});

export const dispositionInfo = structure('FileDispositionInformation', '[MS-FSCC] 2.4.11', {
  deletePending: flag,
});
/** Flags of FileDispositionInformationEx ([MS-FSCC] 2.4.12). */
export const DISPOSITION_DELETE = 1;
export const DISPOSITION_IGNORE_READONLY = 0x10;
export const dispositionInfoEx = structure('FileDispositionInformationEx', '[MS-FSCC] 2.4.12', {
  flags: u32,
});
export const sizeInfo = structure('FileEndOfFileInformation', '[MS-FSCC] 2.4.14', { size: size64 });

export const FsClass = {
  VOLUME: 1,
  SIZE: 3,
  DEVICE: 4,
  ATTRIBUTE: 5,
  CONTROL: 6,
  FULL_SIZE: 7,
  OBJECT_ID: 8,
  SECTOR_SIZE: 11,
  POSIX: 0x64,
} as const;

export const volumeInfo = structure('FileFsVolumeInformation', '[MS-FSCC] 2.5.9', {
  creationTime: u64,
  serial: u32,
  labelLength: u32,
  supportsObjects: flag,
  reserved: reserved(1),
});

export const fsSizeInfo = structure('FileFsSizeInformation', '[MS-FSCC] 2.5.8', {
  totalUnits: size64,
  availableUnits: size64,
  sectorsPerUnit: u32,
  bytesPerSector: u32,
});

export const fsFullSizeInfo = structure('FileFsFullSizeInformation', '[MS-FSCC] 2.5.4', {
  totalUnits: size64,
  callerAvailableUnits: size64,
  actualAvailableUnits: size64,
  sectorsPerUnit: u32,
  bytesPerSector: u32,
});

export const deviceInfo = structure('FileFsDeviceInformation', '[MS-FSCC] 2.5.10', {
  deviceType: u32,
  characteristics: u32,
});

export const fsAttributeInfo = structure('FileFsAttributeInformation', '[MS-FSCC] 2.5.1', {
  attributes: u32,
  maxNameLength: u32,
  nameLength: u32,
});

export const fsControlInfo = structure('FileFsControlInformation', '[MS-FSCC] 2.5.2', {
  freeSpaceStartFiltering: u64,
  freeSpaceThreshold: u64,
  freeSpaceStopFiltering: u64,
  defaultQuotaThreshold: u64,
  defaultQuotaLimit: u64,
  flags: u32,
  reserved: reserved(4),
});

export const fsObjectIdInfo = structure('FileFsObjectIdInformation', '[MS-FSCC] 2.5.6', {
  objectId: bytes(16),
  extended: reserved(48),
});

export const sectorSizeInfo = structure('FileFsSectorSizeInformation', '[MS-FSCC] 2.5.7', {
  logicalBytesPerSector: u32,
  physicalForAtomicity: u32,
  physicalForPerformance: u32,
  effectiveForAtomicity: u32,
  flags: u32,
  alignmentForSector: u32,
  alignmentForPartition: u32,
});

export const posixFsInfo = structure('FileFsPosixInformation', 'SMB3 POSIX extensions', {
  optimalTransferSize: u32,
  blockSize: u32,
  totalBlocks: size64,
  blocksAvailable: size64,
  userBlocksAvailable: size64,
  totalFileNodes: size64,
  freeFileNodes: size64,
  fsIdentifier: u64,
});
