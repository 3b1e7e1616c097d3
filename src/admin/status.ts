/**
 * The status of a running gateway, as JSON: for the page, `holdfast status` and /api/status. Types only, as the browser's code
 * shares them. All lists are limited in length; paths contain no control characters.
 */
import type { ExportState, SourceState } from './state.ts';

/** A state that a source entered. Times are milliseconds since 1970. */
export interface StateChange {
  readonly at: number;
  /** Place of the mount below the export's root; undefined for the root itself. */
  readonly mount?: string;
  readonly state: SourceState;
  readonly reason: string;
  readonly epoch: number;
}

export interface HistoryStatus {
  /** When the current state began, in milliseconds since 1970. */
  readonly since: number;
  /** How many times the source went away since the gateway started, and for how many seconds in total. */
  readonly outages: number;
  readonly awaySeconds: number;
  /** The latest changes, newest first. */
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
  /** Requests that are not answered yet, and how long the oldest has waited, in seconds. */
  readonly requests: number;
  readonly longestWaitSeconds: number;
  /** Those of `requests` that wait for an absent source. */
  readonly waitingForSource: number;
  readonly lanes: readonly LaneStatus[];
  readonly descriptors: number;
  readonly bytesAsked: number;
  readonly bytesServed: number;
  /** Part of `bytesServed` that was in memory. */
  readonly bytesFromMemory: number;
}

/** One client that reads one file. */
export interface StreamStatus {
  readonly export: string;
  readonly path: string;
  readonly client: string;
  readonly protocol: 'nfs' | 'smb';
  readonly bytes: number;
  readonly bytesPerSecond: number;
  readonly reads: number;
  /** Reads that are not answered yet. */
  readonly running: number;
  /** Largest offset read so far, and the file's size if it is known. */
  readonly position: number;
  readonly size: number | undefined;
  /** Time from the first read to the first answer; undefined before that. */
  readonly firstByteMs: number | undefined;
  readonly slowestMs: number;
  /** Seconds since the first read and since the last one. */
  readonly seconds: number;
  readonly idleSeconds: number;
}

export interface SmbSessionStatus {
  /** Identifies the session for the action `end-session`. */
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
  /** Exports that it has mounted, by its own MNT calls. Not reliable: mounts older than the gateway are missing. */
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
  /** Memory of the content cache: in use, and its limit. */
  readonly cacheBytes: number;
  readonly cacheLimitBytes: number;
  readonly loopDelayMs: number;
}

/** A sample of one interval: see Series. */
export interface Sample {
  readonly at: number;
  /** Bytes per second sent to clients. */
  readonly nfsBytes: number;
  readonly smbBytes: number;
  readonly requests: number;
  /** Duration of READs in milliseconds; undefined if there were none. */
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
  /** Busiest first. */
  readonly streams: readonly StreamStatus[];
  readonly sessions: readonly SmbSessionStatus[];
  readonly nfsClients: readonly NfsClientStatus[];
  readonly samples: readonly Sample[];
}

/** The rights of a client: see Guard. */
export interface Rights {
  /** May see paths and addresses. */
  readonly names: boolean;
  /** May run actions. */
  readonly acts: boolean;
  /** Whether the server has a token, so that a client can get more rights with it. */
  readonly token: boolean;
}
