/** Every bound of the server in one place. Sizes in bytes, times in milliseconds. */
export interface Limits {
  /** Offered in NEGOTIATE for buffers of QUERY_*, IOCTL and CHANGE_NOTIFY. */
  readonly maxTransactSize: number;
  readonly maxReadSize: number;
  readonly maxWriteSize: number;
  /** A message on a connection without an authenticated session. */
  readonly maxUnauthenticatedMessage: number;
  readonly maxConnections: number;
  readonly maxConnectionsPerAddress: number;
  /** A connection that has not authenticated by then is closed. */
  readonly authenticationTimeoutMs: number;
  readonly maxSessionsPerConnection: number;
  /** Authentications that were begun and not finished: of one connection, of all, and how long one may take. */
  readonly maxSetupsPerConnection: number;
  readonly maxSetups: number;
  readonly setupTimeoutMs: number;
  /** A message of a client that can write nothing anywhere. */
  readonly maxReaderMessage: number;
  /** A frame that was begun has to be whole by then, longer ones a little later. */
  readonly frameTimeoutMs: number;
  /** Connections of one session. */
  readonly maxChannelsPerSession: number;
  readonly maxTreesPerSession: number;
  readonly maxOpensPerSession: number;
  /** Opens of all clients at one address. */
  readonly maxOpensPerAddress: number;
  /** Opens of the whole server, disconnected durable ones included. */
  readonly maxOpens: number;
  /** Credits one connection may hold ([MS-SMB2] 3.3.1.2). */
  readonly maxCredits: number;
  /** Requests of one connection that may wait for their reply asynchronously (3.3.4.2). */
  readonly maxAsyncPerConnection: number;
  readonly maxCompound: number;
  readonly maxCreateContexts: number;
  readonly maxLocksPerRequest: number;
  readonly maxLocksPerOpen: number;
  /** Reply payload that READs of one connection may hold at once; more wait their turn. */
  readonly maxReadBytesInFlight: number;
  /** Request payload in progress at which a connection is no longer read from. */
  readonly maxRequestBytesInFlight: number;
  /** Unsent bytes at which a connection is no longer read from. */
  readonly maxUnsent: number;
  /** A client that takes no byte for this long is dropped. */
  readonly sendTimeoutMs: number;
  /** READs go to the backend in pieces of this size, so that large ones do not starve small ones. */
  readonly readSlice: number;
  /** Buffers of sent READ replies kept for the next ones. */
  readonly maxPooledBytes: number;
  readonly maxNotifiesPerSession: number;
  /** Changes kept for one CHANGE_NOTIFY handle between two requests. */
  readonly maxNotifyEvents: number;
  /** A request that runs for longer gets an interim reply (3.3.4.2). */
  readonly interimAfterMs: number;
  readonly oplockBreakTimeoutMs: number;
  readonly durableTimeoutMs: number;
  readonly maxDurableTimeoutMs: number;
  readonly maxSymlinkHops: number;
  /** Directory scans kept for clients that are away, and how long. */
  readonly maxSuspendedScans: number;
  readonly suspendedScanMs: number;
  /** At the end: how long scans may take to finish. */
  readonly drainScansMs: number;
  /** How long streams are then served on at most, until they have used up their credits. */
  readonly drainStreamMs: number;
  /** A client that has not asked for this long has paused in its scan. */
  readonly drainPauseMs: number;
  /** How long answers are then held back at most, until the client waits for them. */
  readonly drainHoldMs: number;
  /** Credits that streams leave for others: a compound of Linux has up to 5 requests, and 2 are kept for ECHO and breaks. */
  readonly drainCredits: number;
  /** Silence that means that nothing is on its way: longer than a large reply takes on a slow link. */
  readonly drainSilenceMs: number;
  /** Failed logons from one address before further ones have to wait their turn. */
  readonly freeLogonFailures: number;
  /** Time between two of them then. */
  readonly logonIntervalMs: number;
  /** Logons of one address that may wait; others are refused unseen. */
  readonly maxWaitingLogons: number;
}

const MiB = 2 ** 20;

export const defaultLimits: Limits = {
  maxTransactSize: 8 * MiB,
  maxReadSize: 8 * MiB,
  maxWriteSize: 8 * MiB,
  maxUnauthenticatedMessage: 64 * 1024,
  maxConnections: 4096,
  maxConnectionsPerAddress: 512,
  authenticationTimeoutMs: 60_000,
  maxSessionsPerConnection: 256,
  maxSetupsPerConnection: 4,
  maxSetups: 1024,
  setupTimeoutMs: 30_000,
  maxReaderMessage: 256 * 1024,
  frameTimeoutMs: 30_000,
  maxChannelsPerSession: 32,
  maxTreesPerSession: 1024,
  maxOpensPerSession: 16_384,
  maxOpensPerAddress: 32_768,
  maxOpens: 262_144,
  maxCredits: 8192,
  maxAsyncPerConnection: 511,
  maxCompound: 64,
  maxCreateContexts: 32,
  maxLocksPerRequest: 1024,
  maxLocksPerOpen: 16_384,
  maxReadBytesInFlight: 64 * MiB,
  maxRequestBytesInFlight: 64 * MiB,
  maxUnsent: 64 * MiB,
  sendTimeoutMs: 60_000,
  readSlice: MiB,
  maxPooledBytes: 64 * MiB,
  maxNotifiesPerSession: 4096,
  maxNotifyEvents: 1024,
  interimAfterMs: 1000,
  oplockBreakTimeoutMs: 35_000,
  durableTimeoutMs: 60_000,
  maxDurableTimeoutMs: 300_000,
  maxSymlinkHops: 16,
  maxSuspendedScans: 4096,
  suspendedScanMs: 3_600_000,
  drainScansMs: 5000,
  drainStreamMs: 1000,
  drainPauseMs: 2000,
  drainHoldMs: 1000,
  drainCredits: 64,
  drainSilenceMs: 100,
  freeLogonFailures: 5,
  logonIntervalMs: 2000,
  maxWaitingLogons: 12,
};

/** Room a message needs beyond its payload: headers, fixed parts, contexts. */
export const MESSAGE_OVERHEAD = 64 * 1024;
