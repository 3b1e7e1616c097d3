/**
 * What the page, `holdfast status` and /api/status show: all that is known of a running gateway, as JSON. Types only, since
 * the browser's code shares them. Every list is bounded where it is made; paths are text that cannot break a line.
 */
import type { ExportState, SourceState } from './state.ts';

/** A state that a source entered. Times are milliseconds since 1970. */
export interface StateChange {
  readonly at: number;
  /** Where the mount is, below the export's root; undefined for what lies there. */
  readonly mount?: string;
  readonly state: SourceState;
  readonly reason: string;
  readonly epoch: number;
}

export interface HistoryStatus {
  /** Since when the present state holds. */
  readonly since: number;
  /** Times that the source went away since the gateway started, and for how long altogether, seconds. */
  readonly outages: number;
  readonly awaySeconds: number;
  /** The latest changes, the newest first. */
  readonly changes: readonly StateChange[];
}

export interface LaneStatus {
  readonly name: string;
  readonly limit: number;
  readonly running: number;
  readonly hung: number;
  readonly waiting: number;
}

export interface ExportStatus extends ExportState {
  readonly history: HistoryStatus;
  /** Requests that are being answered, and how long the first of them has been, seconds. */
  readonly requests: number;
  readonly longestWaitSeconds: number;
  /** Of them, those that wait for a source that is away. */
  readonly waitingForSource: number;
  readonly lanes: readonly LaneStatus[];
  readonly descriptors: number;
  readonly bytesAsked: number;
  readonly bytesServed: number;
  /** Of those served: what was in memory. */
  readonly bytesFromMemory: number;
}

/** Somebody who reads a file. */
export interface StreamStatus {
  readonly export: string;
  readonly path: string;
  readonly client: string;
  readonly protocol: 'nfs' | 'smb';
  readonly bytes: number;
  readonly bytesPerSecond: number;
  readonly reads: number;
  /** Reads that are being answered. */
  readonly running: number;
  /** Furthest byte asked for, and the file's size if it is known. */
  readonly position: number;
  readonly size: number | undefined;
  /** From the first read to its answer; undefined while there is none. */
  readonly firstByteMs: number | undefined;
  readonly slowestMs: number;
  /** How long it has been read, and since the last read, seconds. */
  readonly seconds: number;
  readonly idleSeconds: number;
}

export interface SmbSessionStatus {
  /** For the action `end-session`. */
  readonly id: string;
  readonly client: string;
  readonly user: string;
  readonly guest: boolean;
  readonly dialect: string;
  readonly signed: boolean;
  readonly encrypted: boolean;
  readonly exports: readonly string[];
  readonly opens: number;
  readonly connections: number;
  readonly seconds: number;
}

/** One address that uses NFS. */
export interface NfsClientStatus {
  readonly client: string;
  /** What it said it has mounted: hearsay, and unknown for mounts that are older than the gateway. */
  readonly mounts: readonly string[];
  readonly connections: number;
  readonly calls: number;
  readonly bytesOut: number;
  readonly seconds: number;
}

export interface ListeningStatus {
  readonly protocol: string;
  readonly host: string;
  readonly port: number;
}

export interface ProcessStatus {
  readonly version: string;
  readonly node: string;
  readonly pid: number;
  readonly startedAt: number;
  readonly rssBytes: number;
  /** Memory for content that was read: held, and allowed. */
  readonly cacheBytes: number;
  readonly cacheLimitBytes: number;
  readonly loopDelayMs: number;
}

/** Of one interval; see Series. */
export interface Sample {
  readonly at: number;
  /** Bytes a second to clients. */
  readonly nfsBytes: number;
  readonly smbBytes: number;
  readonly requests: number;
  /** Milliseconds of READs; undefined when there were none. */
  readonly readP50: number | undefined;
  readonly readP99: number | undefined;
  readonly waiting: number;
  readonly loopDelayMs: number;
}

export interface Status {
  readonly at: number;
  readonly ready: boolean;
  readonly process: ProcessStatus;
  readonly listening: readonly ListeningStatus[];
  readonly exports: readonly ExportStatus[];
  /** The busiest first. */
  readonly streams: readonly StreamStatus[];
  readonly sessions: readonly SmbSessionStatus[];
  readonly nfsClients: readonly NfsClientStatus[];
  readonly samples: readonly Sample[];
}

/** What a caller may do here: see Guard. */
export interface Rights {
  /** See paths and addresses. */
  readonly names: boolean;
  /** Change something. */
  readonly acts: boolean;
  /** Whether a token would help. */
  readonly token: boolean;
}
