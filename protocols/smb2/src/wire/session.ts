import { reserved, structure, structureSize, u8, u16, u32, u64 } from './struct.ts';

export const sessionSetupRequest = structure('SMB2 SESSION_SETUP Request', '[MS-SMB2] 2.2.5', {
  structureSize: structureSize(25),
  flags: u8,
  securityMode: u8,
  capabilities: u32,
  channel: u32,
  securityBufferOffset: u16,
  securityBufferLength: u16,
  previousSessionId: u64,
});

/** Flag of a SESSION_SETUP request. */
export const SESSION_FLAG_BINDING = 1;

export const sessionSetupResponse = structure('SMB2 SESSION_SETUP Response', '[MS-SMB2] 2.2.6', {
  structureSize: structureSize(9),
  sessionFlags: u16,
  securityBufferOffset: u16,
  securityBufferLength: u16,
});

/** The body of LOGOFF, TREE_DISCONNECT, ECHO and CANCEL in both directions, and of the replies to FLUSH and LOCK. */
export const emptyBody = structure('SMB2 LOGOFF Request', '[MS-SMB2] 2.2.7', {
  structureSize: structureSize(4),
  reserved: reserved(2),
});

export const treeConnectRequest = structure('SMB2 TREE_CONNECT Request', '[MS-SMB2] 2.2.9', {
  structureSize: structureSize(9),
  flags: u16,
  pathOffset: u16,
  pathLength: u16,
});

export const treeConnectResponse = structure('SMB2 TREE_CONNECT Response', '[MS-SMB2] 2.2.10', {
  structureSize: structureSize(16),
  shareType: u8,
  reserved: reserved(1),
  shareFlags: u32,
  capabilities: u32,
  maximalAccess: u32,
});
