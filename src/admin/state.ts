export type SourceState = 'live' | 'down' | 'stuck';

/** An object in quarantine: it failed or missed its deadline while the source answered others. */
export interface TroubleEntry {
  readonly path: string;
  /** What failed: content, attributes or a listing. */
  readonly aspect: string;
  /** Number of consecutive failures. */
  readonly strikes: number;
  /** Seconds until one request may try again. */
  readonly retrySeconds: number;
  /** Addresses of the clients that waited for it. */
  readonly clients: readonly string[];
}

/** The requests that wait for one path. */
export interface WaitEntry {
  readonly path: string;
  readonly requests: number;
  readonly clients: readonly string[];
  /** How long the oldest of them has waited. */
  readonly seconds: number;
}

/** A mount below an export's path. */
export interface MountState {
  /** Path below the export, as `/name`, without control characters. */
  readonly path: string;
  readonly state: SourceState;
  readonly reason: string;
  readonly epoch: number;
  /** Number of objects in quarantine. */
  readonly quarantined: number;
  /** Number of requests that wait for this mount. */
  readonly waiting: number;
}

export interface ExportState {
  readonly name: string;
  readonly path: string;
  /** State of its source. */
  readonly state: SourceState;
  /** Why the source is in that state, as text for people. */
  readonly reason: string;
  /** Number of mounts of the source that were seen. */
  readonly epoch: number;
  /** Number of objects in memory. */
  readonly nodes: number;
  /** Expected mounts below the path, a limited number. */
  readonly mounts: readonly MountState[];
  /** The latest objects in quarantine. Paths contain no control characters. */
  readonly quarantine: readonly TroubleEntry[];
  /** The longest waits. */
  readonly waits: readonly WaitEntry[];
}

/** The state of an export for clients that may see neither paths nor addresses. */
export interface ExportSummary {
  readonly name: string;
  readonly state: SourceState;
  readonly epoch: number;
  readonly nodes: number;
  /** Number of mounts below its path, and of those that are not live. */
  readonly mounts: number;
  readonly mountsAway: number;
  /** Number of objects in quarantine. */
  readonly quarantined: number;
  /** Number of waiting requests. */
  readonly waiting: number;
}

export interface AdminSummary {
  readonly ready: boolean;
  readonly exports: readonly ExportSummary[];
}

export function summaryOf({ ready, exports }: AdminState): AdminSummary {
  return {
    ready,
    exports: exports.map(({ name, state, epoch, nodes, mounts, quarantine, waits }) => ({
      name,
      state,
      epoch,
      nodes,
      mounts: mounts.length,
      mountsAway: mounts.filter((one) => one.state !== 'live').length,
      quarantined: quarantine.length,
      waiting: waits.reduce((sum, { requests }) => sum + requests, 0),
    })),
  };
}

/** The state for health checks and the page. */
export interface AdminState {
  /** Whether the gateway accepts new connections: false once it is stopping. It is not asked before it is ready. */
  readonly ready: boolean;
  readonly exports: readonly ExportState[];
}
