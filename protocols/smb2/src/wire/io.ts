/** FLUSH, READ, WRITE, LOCK ([MS-SMB2] 2.2.17 to 2.2.27). */
import { fileId } from './file-id.ts';
import { reserved, size64, structure, structureSize, u8, u16, u32, u64 } from './struct.ts';

export const readRequest = structure('SMB2 READ Request', '[MS-SMB2] 2.2.19', {
  structureSize: structureSize(49),
  padding: u8,
  flags: u8,
  length: u32,
  offset: size64,
  fileId,
  minimumCount: u32,
  channel: u32,
  remainingBytes: u32,
  channelInfoOffset: u16,
  channelInfoLength: u16,
});

export const readResponse = structure('SMB2 READ Response', '[MS-SMB2] 2.2.20', {
  structureSize: structureSize(17),
  dataOffset: u8,
  reserved: reserved(1),
  dataLength: u32,
  dataRemaining: u32,
  flags: u32,
});

export const writeRequest = structure('SMB2 WRITE Request', '[MS-SMB2] 2.2.21', {
  structureSize: structureSize(49),
  dataOffset: u16,
  length: u32,
  offset: size64,
  fileId,
  channel: u32,
  remainingBytes: u32,
  channelInfoOffset: u16,
  channelInfoLength: u16,
  flags: u32,
});

export const writeResponse = structure('SMB2 WRITE Response', '[MS-SMB2] 2.2.22', {
  structureSize: structureSize(17),
  reserved: reserved(2),
  count: u32,
  remaining: u32,
  channelInfoOffset: u16,
  channelInfoLength: u16,
});

export interface ReadRange {
  readonly length: number;
  /** Values above 2^53 are inexact, but stay above `Number.MAX_SAFE_INTEGER`. */
  readonly offset: number;
  readonly minimumCount: number;
}

/** Decodes the fields of a READ that the server uses. By hand, since READ is the most frequent request. */
export function decodeRead(packet: Buffer, body: number): ReadRange {
  return {
    length: packet.readUInt32LE(body + 4),
    offset: packet.readUInt32LE(body + 8) + packet.readUInt32LE(body + 12) * 2 ** 32,
    minimumCount: packet.readUInt32LE(body + 32),
  };
}

/** Whether a READ or WRITE ends at 2^63 - 1 at most. Reads the 64-bit offset again, because a number is inexact there. */
export const isWithinOffsets = (packet: Buffer, body: number, length: number): boolean =>
  packet.readBigUInt64LE(body + 8) + BigInt(length) < 1n << 63n;

export function encodeRead(dataOffset: number, length: number, target: Buffer, at: number): void {
  target.writeUInt16LE(17, at);
  target.writeUInt16LE(dataOffset, at + 2);
  target.writeUInt32LE(length, at + 4);
  target.writeUInt32LE(0, at + 8);
  target.writeUInt32LE(0, at + 12);
}

export const lockRequest = structure('SMB2 LOCK Request', '[MS-SMB2] 2.2.26', {
  structureSize: structureSize(48),
  lockCount: u16,
  lockSequence: u32,
  fileId,
});

export const lockElement = structure('SMB2_LOCK_ELEMENT', '[MS-SMB2] 2.2.26.1', {
  offset: u64,
  length: u64,
  flags: u32,
  reserved: reserved(4),
});

export const LockFlags = { SHARED: 1, EXCLUSIVE: 2, UNLOCK: 4, FAIL_IMMEDIATELY: 16 } as const;
