import { fileId } from './file-id.ts';
import { bytes, reserved, structure, structureSize, u8, u16, u32, u64 } from './struct.ts';

/** Notification, acknowledgement and reply have the same structure (2.2.23.1, 2.2.24.1, 2.2.25.1). */
export const oplockBreak = structure('SMB2 OPLOCK_BREAK Notification', '[MS-SMB2] 2.2.23.1', {
  structureSize: structureSize(24),
  oplockLevel: u8,
  reserved: reserved(5),
  fileId,
});

export const leaseBreakNotification = structure('SMB2 Lease Break Notification', '[MS-SMB2] 2.2.23.2', {
  structureSize: structureSize(44),
  newEpoch: u16,
  flags: u32,
  leaseKey: bytes(16),
  currentState: u32,
  newState: u32,
  breakReason: reserved(4),
  accessMaskHint: reserved(4),
  shareMaskHint: reserved(4),
});

/** Flag of a lease break: an acknowledgement is required. */
export const ACK_REQUIRED = 1;

/** The acknowledgement and its reply (2.2.24.2, 2.2.25.2). */
export const leaseBreakAck = structure('SMB2 Lease Break Acknowledgment', '[MS-SMB2] 2.2.24.2', {
  structureSize: structureSize(36),
  reserved: reserved(2),
  flags: u32,
  leaseKey: bytes(16),
  leaseState: u32,
  duration: u64,
});
