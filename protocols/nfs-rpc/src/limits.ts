/** Limits of one server. Every number from the wire is checked against one of these before memory is allocated for it. */
export interface RpcLimits {
  /** Longest call record, in bytes: a WRITE of 1 MiB and its header. */
  readonly maxRecordBytes: number;
  /** Most fragments of one record. The classic RPC library makes fragments of about 4,000 bytes. */
  readonly maxFragments: number;
  /** Most calls of one connection that are running or whose reply is not written yet. */
  readonly maxCalls: number;
  /** Most bytes of the call records of those calls: for one connection and for all. */
  readonly maxRequestBytes: number;
  readonly maxTotalRequestBytes: number;
  /** Most bytes reserved for large replies (READ, READDIR, READDIRPLUS): for one connection and for all. */
  readonly maxReplyBytes: number;
  readonly maxTotalReplyBytes: number;
  /**
   * Most bytes, for all connections, reserved for calls that have waited for their data for `slowCallMs`. These bytes
   * do not count against the two bounds above, so that calls that hang leave memory to calls that can be answered.
   */
  readonly maxSlowReplyBytes: number;
  /** Time after which a waiting call is slow, in ms. Slow calls make room when memory or calls run short. */
  readonly slowCallMs: number;
  /** Bytes of finished replies not yet sent to the peer. Above this, no further large reply is started. */
  readonly maxUnsentBytes: number;
  /** Bytes passed to the socket at a time. A slow reader must take this much in `stalledWriteMs`. */
  readonly writeBatchBytes: number;
  /** Most bytes of free reply buffers to keep for later replies. */
  readonly maxPooledBytes: number;
  readonly maxConnections: number;
  readonly maxConnectionsPerAddress: number;
  /** Longest time from the first byte of a record to its last, in ms. Does not count while the server has stopped reading. */
  readonly recordTimeoutMs: number;
  /** Longest time for the peer to take one batch of replies, in ms. */
  readonly stalledWriteMs: number;
  /** Idle time before TCP keepalive probes, in ms. */
  readonly keepAliveMs: number;
}

const KiB = 1024;
const MiB = 1024 * KiB;

export const defaultLimits: RpcLimits = {
  maxRecordBytes: MiB + 64 * KiB,
  maxFragments: 1024,
  maxCalls: 1024,
  maxRequestBytes: 16 * MiB,
  maxTotalRequestBytes: 256 * MiB,
  maxReplyBytes: 128 * MiB,
  maxTotalReplyBytes: 512 * MiB,
  maxSlowReplyBytes: 256 * MiB,
  slowCallMs: 1_000,
  maxUnsentBytes: 8 * MiB,
  writeBatchBytes: MiB,
  maxPooledBytes: 64 * MiB,
  maxConnections: 1024,
  maxConnectionsPerAddress: 256,
  recordTimeoutMs: 60_000,
  stalledWriteMs: 60_000,
  keepAliveMs: 60_000,
};

/** NFSv3: most bytes of one READ or WRITE, and of one READDIR or READDIRPLUS reply. */
export const MAX_TRANSFER = MiB;
/** NFSv3: the READDIR size recommended to clients, in bytes. */
export const PREFERRED_DIRECTORY_READ = 64 * KiB;
/** NFSv3: most bytes of encoded READDIRPLUS pages to keep for the next client. */
export const MAX_CACHED_PAGES = 8 * MiB;
/** NFSv3: most bytes of one name. */
export const MAX_NAME = 255;
/**
 * NFSv3: READs of one file that the backend gets at once, from all connections together: the limit at first, and at
 * most. Every successful READ raises the limit by one. READs beyond it wait without a reply buffer.
 */
export const FIRST_READS_PER_FILE = 4;
export const MAX_READS_PER_FILE = 16;
/**
 * NFSv3: longest time that a READ waits for its turn before it is answered with JUKEBOX, in ms. Longer than a backend
 * needs to give up a file that hangs, because libnfs treats JUKEBOX as an error. A retransmission is answered with
 * JUKEBOX at once.
 */
export const LONGEST_TURN_WAIT = 180_000;
/** MOUNT: most bytes of a path, RFC 1813 §5.1.1 MNTPATHLEN. */
export const MAX_MOUNT_PATH = 1024;
/** MOUNT: most remembered mounts of one client, and most clients with remembered mounts. */
export const MAX_MOUNTS_PER_CLIENT = 64;
export const MAX_MOUNT_CLIENTS = 1024;
/** Portmap: most rows of the table. */
export const MAX_PORT_MAPPINGS = 256;
/** UDP: most bytes of a reply (UDPMSGSIZE of the classic RPC library), and most calls running at once; more are dropped. */
export const MAX_DATAGRAM = 8_800;
export const MAX_DATAGRAM_CALLS = 64;
/** Client: most bytes and fragments of a reply. */
export const MAX_CLIENT_REPLY = 4 * MiB;
export const MAX_CLIENT_FRAGMENTS = 1024;
