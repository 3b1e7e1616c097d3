/** All limits of the server. Sizes in bytes, times in milliseconds. */
export interface Limits {
  /** Largest buffer of QUERY_*, IOCTL and CHANGE_NOTIFY, as offered in NEGOTIATE. */
  readonly maxTransactSize: number;
  readonly maxReadSize: number;
  readonly maxWriteSize: number;
  /** Longest message on a connection without an authenticated session. */
  readonly maxUnauthenticatedMessage: number;
  readonly maxConnections: number;
  readonly maxConnectionsPerAddress: number;
  /** A connection that has not authenticated within this time is closed. */
  readonly authenticationTimeoutMs: number;
  readonly maxSessionsPerConnection: number;
  /** Unfinished authentications: at most of one connection, at most of all, and the longest time for one. */
  readonly maxSetupsPerConnection: number;
  readonly maxSetups: number;
  readonly setupTimeoutMs: number;
  /** Longest message of a client without a writable share. */
  readonly maxReaderMessage: number;
  /** Longest time for a frame to arrive completely. Long frames get more. */
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
  /** Requests of one connection with an interim reply (3.3.4.2). */
  readonly maxAsyncPerConnection: number;
  readonly maxCompound: number;
  readonly maxCreateContexts: number;
  readonly maxLocksPerRequest: number;
  readonly maxLocksPerOpen: number;
  /** Bytes of reply data that the READs of one connection may hold. Further READs wait. */
  readonly maxReadBytesInFlight: number;
  /** Bytes of running requests above which the server stops reading from a connection. */
  readonly maxRequestBytesInFlight: number;
  /** Unsent bytes above which the server stops reading from a connection. */
  readonly maxUnsent: number;
  /** A client that takes no byte for this long is disconnected. */
  readonly sendTimeoutMs: number;
  /** READs go to the backend in slices of this size, so that large ones do not delay small ones. */
  readonly readSlice: number;
  /** Bytes of free READ buffers to keep. */
  readonly maxPooledBytes: number;
  readonly maxNotifiesPerSession: number;
  /** Changes kept for one CHANGE_NOTIFY handle between two requests. */
  readonly maxNotifyEvents: number;
  /** A request that runs longer than this gets an interim reply (3.3.4.2). */
  readonly interimAfterMs: number;
  readonly oplockBreakTimeoutMs: number;
  readonly durableTimeoutMs: number;
  readonly maxDurableTimeoutMs: number;
  readonly maxSymlinkHops: number;
  /** Directory scans kept for disconnected clients, and for how long. */
  readonly maxSuspendedScans: number;
  readonly suspendedScanMs: number;
  /** While draining: longest time for scans to finish. */
  readonly drainScansMs: number;
  /** Then: longest time to serve streams without new credits, until they have used theirs. */
  readonly drainStreamMs: number;
  /** A client that has sent no scan request for this long has paused its scan. */
  readonly drainPauseMs: number;
  /** Then: longest time to keep answers back, until the client waits for them. */
  readonly drainHoldMs: number;
  /**
   * Credits that streams must leave for other requests: a compound of Linux has up to 5 requests, and 2 are reserved
   * for ECHO and breaks.
   */
  readonly drainCredits: number;
  /** After this much silence no request is on the way. Longer than a large reply takes on a slow link. */
  readonly drainSilenceMs: number;
  /** Failed logons from one address before further logons are delayed. */
  readonly freeLogonFailures: number;
  /** Delay between two such logons. */
  readonly logonIntervalMs: number;
  /** Delayed logons of one address. Further ones are refused unchecked. */
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

/** Bytes of a message beyond its payload: headers, fixed parts, contexts. */
export const MESSAGE_OVERHEAD = 64 * 1024;
