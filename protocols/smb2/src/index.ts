/** An SMB2/3 server. Give it users and shares, each with a backend; it handles the protocol. */
export { SmbServer } from './server.ts';
export type { SessionSummary, SmbServerOptions, UserOptions } from './server.ts';
export type { LinkRoot, ShareOptions } from './share/volume.ts';
export type { ScanStore, SuspendedScan } from './registry/suspended-scans.ts';
export type { NetworkInterface, Policy } from './context/settings.ts';
export type { Hooks, PeerEvent, RequestEvent, SessionEvent, TreeEvent } from './hooks.ts';
export { defaultLimits } from './limits.ts';
export type { Limits } from './limits.ts';
export { BufferLostError, StatusError } from './backend.ts';
export type * from './backend.ts';
export { Status, statusName } from './wire/status.ts';
export type { NtStatus } from './wire/status.ts';
export { FileAttribute, Dialect } from './wire/constants.ts';
export { toFileTime } from './wire/file-time.ts';
export { foldName } from './names/fold.ts';
export { ntHash } from './auth/index.ts';
export { MemoryShare } from './memory/memory-share.ts';
