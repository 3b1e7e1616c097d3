/** QUERY_INFO of filesystems, one row for each information class ([MS-FSCC] 2.5). */
import { createHash } from 'node:crypto';
import type { Awaitable } from '../backend.ts';
import { fail } from '../errors.ts';
import type { Open } from '../open/open.ts';
import type { Request } from '../request/request.ts';
import * as info from '../wire/fscc/file-info.ts';
import { Status } from '../wire/status.ts';

const { FsClass } = info;

export interface FilesystemClassRow {
  readonly fixed: number;
  readonly encode: (open: Open, request: Request) => Awaitable<Buffer>;
}

const SECTOR = 512;
const SECTORS_PER_UNIT = 8;
const UNIT = SECTOR * SECTORS_PER_UNIT;
const units = (bytes: number): number => Math.floor(bytes / UNIT);

const FILE_DEVICE_DISK = 7;
const FILE_DEVICE_IS_MOUNTED = 0x20;
const FILE_READ_ONLY_DEVICE = 0x02;

/** FileSystemAttributes ([MS-FSCC] 2.5.1) */
const FsAttributes = {
  CASE_SENSITIVE_SEARCH: 0x01,
  CASE_PRESERVED_NAMES: 0x02,
  UNICODE_ON_DISK: 0x04,
  PERSISTENT_ACLS: 0x08,
  FILE_COMPRESSION: 0x10,
  SUPPORTS_SPARSE_FILES: 0x40,
  SUPPORTS_REPARSE_POINTS: 0x80,
  NAMED_STREAMS: 0x40000,
  READ_ONLY_VOLUME: 0x80000,
  SUPPORTS_EXTENDED_ATTRIBUTES: 0x800000,
  SUPPORTS_BLOCK_REFCOUNTING: 0x8000000,
} as const;

const withText = (fixed: Buffer, text: Buffer): Buffer => Buffer.concat([fixed, text]);

function volume({ share }: Open): Buffer {
  const { label, serial, creationTime } = share.backend.volume;
  const text = Buffer.from(label, 'utf16le');
  const fixed = info.volumeInfo.toBuffer({
    creationTime,
    serial,
    labelLength: text.length,
    supportsObjects: false,
  });
  return withText(fixed, text);
}

async function size({ share }: Open, request: Request): Promise<Buffer> {
  const space = await share.backend.space(request);
  return info.fsSizeInfo.toBuffer({
    totalUnits: units(space.totalBytes),
    availableUnits: units(space.availableBytes),
    sectorsPerUnit: SECTORS_PER_UNIT,
    bytesPerSector: SECTOR,
  });
}

async function fullSize({ share }: Open, request: Request): Promise<Buffer> {
  const space = await share.backend.space(request);
  return info.fsFullSizeInfo.toBuffer({
    totalUnits: units(space.totalBytes),
    callerAvailableUnits: units(space.availableBytes),
    actualAvailableUnits: units(space.freeBytes),
    sectorsPerUnit: SECTORS_PER_UNIT,
    bytesPerSector: SECTOR,
  });
}

const device = ({ share }: Open): Buffer =>
  info.deviceInfo.toBuffer({
    deviceType: FILE_DEVICE_DISK,
    characteristics: FILE_DEVICE_IS_MOUNTED | (share.readOnly ? FILE_READ_ONLY_DEVICE : 0),
  });

function attribute({ share }: Open): Buffer {
  const { changes, volume: about } = share.backend;
  const text = Buffer.from(about.filesystemName, 'utf16le');
  const attributes =
    FsAttributes.CASE_SENSITIVE_SEARCH |
    FsAttributes.CASE_PRESERVED_NAMES |
    FsAttributes.UNICODE_ON_DISK |
    FsAttributes.PERSISTENT_ACLS |
    FsAttributes.SUPPORTS_REPARSE_POINTS |
    (changes
      ? FsAttributes.SUPPORTS_SPARSE_FILES | FsAttributes.SUPPORTS_BLOCK_REFCOUNTING
      : FsAttributes.READ_ONLY_VOLUME) |
    (changes?.compresses ? FsAttributes.FILE_COMPRESSION : 0) |
    (changes?.streams ? FsAttributes.NAMED_STREAMS : 0) |
    (changes?.extendedAttributes ? FsAttributes.SUPPORTS_EXTENDED_ATTRIBUTES : 0);
  return withText(
    info.fsAttributeInfo.toBuffer({ attributes, maxNameLength: 255, nameLength: text.length }),
    text,
  );
}

const NO_QUOTA = 0xffffffffffffffffn;

const control = (): Buffer =>
  info.fsControlInfo.toBuffer({
    freeSpaceStartFiltering: 0n,
    freeSpaceThreshold: 0n,
    freeSpaceStopFiltering: 0n,
    defaultQuotaThreshold: NO_QUOTA,
    defaultQuotaLimit: NO_QUOTA,
    flags: 0,
  });

/** Derived from server and share, so that it never changes. */
function objectId({ share }: Open, { context }: Request): Buffer {
  const digest = createHash('sha256')
    .update(context.settings.serverGuid)
    .update(share.name.toLowerCase())
    .digest();
  return info.fsObjectIdInfo.toBuffer({ objectId: digest.subarray(0, 16) });
}

const SSINFO_FLAGS_ALIGNED_DEVICE = 1;
const SSINFO_FLAGS_PARTITION_ALIGNED = 2;

const sectorSize = (): Buffer =>
  info.sectorSizeInfo.toBuffer({
    logicalBytesPerSector: SECTOR,
    physicalForAtomicity: UNIT,
    physicalForPerformance: UNIT,
    effectiveForAtomicity: UNIT,
    flags: SSINFO_FLAGS_ALIGNED_DEVICE | SSINFO_FLAGS_PARTITION_ALIGNED,
    alignmentForSector: 0,
    alignmentForPartition: 0,
  });

async function posix({ share }: Open, request: Request): Promise<Buffer> {
  if (!request.connection.negotiated.posix) return fail(Status.INVALID_INFO_CLASS);
  const space = await share.backend.space(request);
  return info.posixFsInfo.toBuffer({
    optimalTransferSize: UNIT,
    blockSize: UNIT,
    totalBlocks: units(space.totalBytes),
    blocksAvailable: units(space.freeBytes),
    userBlocksAvailable: units(space.availableBytes),
    totalFileNodes: 0,
    freeFileNodes: 0,
    fsIdentifier: BigInt(share.backend.volume.serial),
  });
}

/** By FileSystemInformationClass. */
export const filesystemClasses: ReadonlyMap<number, FilesystemClassRow> = new Map<number, FilesystemClassRow>(
  [
    [FsClass.VOLUME, { fixed: 24, encode: volume }],
    [FsClass.SIZE, { fixed: 24, encode: size }],
    [FsClass.DEVICE, { fixed: 8, encode: device }],
    [FsClass.ATTRIBUTE, { fixed: 20, encode: attribute }],
    [FsClass.CONTROL, { fixed: 48, encode: control }],
    [FsClass.FULL_SIZE, { fixed: 32, encode: fullSize }],
    [FsClass.OBJECT_ID, { fixed: 64, encode: objectId }],
    [FsClass.SECTOR_SIZE, { fixed: 28, encode: sectorSize }],
    [FsClass.POSIX, { fixed: 56, encode: posix }],
  ],
);
