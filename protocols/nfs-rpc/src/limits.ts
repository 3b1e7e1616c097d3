/** What one server allows. Every number from the wire is held against one of these before it sizes anything. */
export interface RpcLimits {
  /** Bytes of one call record: a WRITE of 1 MiB and its header. */
  readonly maxRecordBytes: number;
  /** Fragments of one record; the classic RPC library makes one of about 4,000 bytes. */
  readonly maxFragments: number;
  /** Calls of one connection that are being worked on or whose reply is not written yet. */
  readonly maxCalls: number;
  /** Bytes of the call records of those calls: for one connection and for all. */
  readonly maxRequestBytes: number;
  readonly maxTotalRequestBytes: number;
  /** Bytes set aside for large replies (READ, READDIR, READDIRPLUS): for one connection and for all. */
  readonly maxReplyBytes: number;
  readonly maxTotalReplyBytes: number;
  /**
   * Bytes, for all connections, of replies that have waited for their data for `slowCallMs`. They no longer count against
   * the two bounds above, so that what hangs does not keep memory from what would be answered at once.
   */
  readonly maxSlowReplyBytes: number;
  /** Milliseconds after which a call gives way to others where there is not enough for all. */
  readonly slowCallMs: number;
  /** Bytes of finished replies that wait for the peer, above which no further large reply is begun. */
  readonly maxUnsentBytes: number;
  /** Bytes handed to the socket at a time; also the progress a slow reader must make in `stalledWriteMs`. */
  readonly writeBatchBytes: number;
  /** Bytes of free reply buffers kept for the next replies. */
  readonly maxPooledBytes: number;
  readonly maxConnections: number;
  readonly maxConnectionsPerAddress: number;
  /** Milliseconds from the first byte of a record to its last, while the server is reading. */
  readonly recordTimeoutMs: number;
  /** Milliseconds for one batch of replies to be taken by the peer. */
  readonly stalledWriteMs: number;
  /** Milliseconds of silence before TCP keepalive probes. */
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

/** NFSv3: bytes of one READ or WRITE, and of one READDIR or READDIRPLUS reply. */
export const MAX_TRANSFER = MiB;
/** NFSv3: the READDIR size recommended to clients. */
export const PREFERRED_DIRECTORY_READ = 64 * KiB;
/** NFSv3: bytes of a name component. */
export const MAX_NAME = 255;
/**
 * NFSv3: READs of one file that are handed to the backend at once, of all connections together: at first, and at most.
 * Every answer allows one more. The others wait without memory.
 */
export const FIRST_READS_PER_FILE = 4;
export const MAX_READS_PER_FILE = 16;
/**
 * NFSv3: milliseconds that a READ waits for its turn before the client is told to come again (JUKEBOX). Longer than a backend
 * needs to give up a file that hangs: libnfs takes JUKEBOX for an error, and whoever asks again is answered at once anyway.
 */
export const LONGEST_TURN_WAIT = 180_000;
/** MOUNT: bytes of a path, RFC 1813 §5.1.1 MNTPATHLEN. */
export const MAX_MOUNT_PATH = 1024;
/** MOUNT: remembered mounts of one client, and clients with remembered mounts. */
export const MAX_MOUNTS_PER_CLIENT = 64;
export const MAX_MOUNT_CLIENTS = 1024;
/** Portmap: rows of the table. */
export const MAX_PORT_MAPPINGS = 256;
/** UDP: bytes of a reply (UDPMSGSIZE of the classic RPC library), and datagrams being answered; more are dropped. */
export const MAX_DATAGRAM = 8_800;
export const MAX_DATAGRAM_CALLS = 64;
/** Client: bytes and fragments of a reply. */
export const MAX_CLIENT_REPLY = 4 * MiB;
export const MAX_CLIENT_FRAGMENTS = 1024;
