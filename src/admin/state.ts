export type SourceState = 'live' | 'down' | 'stuck';

/** An object that missed its deadline while the source answered others. */
export interface TroubleEntry {
  readonly path: string;
  /** What did not answer: content, attributes or a listing. */
  readonly aspect: string;
  /** Deadlines missed in a row. */
  readonly strikes: number;
  /** Until one request may try again. */
  readonly retrySeconds: number;
  /** Addresses of those who waited for it. */
  readonly clients: readonly string[];
}

/** What requests are waiting for. */
export interface WaitEntry {
  readonly path: string;
  readonly requests: number;
  readonly clients: readonly string[];
  /** Since the first of them. */
  readonly seconds: number;
}

/** A mount below an export's path. */
export interface MountState {
  /** Below the export, as `/name`; text that cannot break a line. */
  readonly path: string;
  readonly state: SourceState;
  readonly reason: string;
  readonly epoch: number;
  /** Objects in quarantine. */
  readonly quarantined: number;
  /** Requests that wait for it. */
  readonly waiting: number;
}

export interface ExportState {
  readonly name: string;
  readonly path: string;
  /** Of its source. */
  readonly state: SourceState;
  /** Why the source is in that state, in words. */
  readonly reason: string;
  /** How often the source was mounted, as far as it was seen. */
  readonly epoch: number;
  /** Objects that the tree knows now. */
  readonly nodes: number;
  /** Those that are expected below the path, a bounded number. */
  readonly mounts: readonly MountState[];
  /** The latest ones; a path is text that cannot break a line. */
  readonly quarantine: readonly TroubleEntry[];
  /** The longest ones. */
  readonly waits: readonly WaitEntry[];
}

/** What is told of an export to those who are shown neither paths nor addresses. */
export interface ExportSummary {
  readonly name: string;
  readonly state: SourceState;
  readonly epoch: number;
  readonly nodes: number;
  /** Mounts below its path, and those of them that are not live. */
  readonly mounts: number;
  readonly mountsAway: number;
  /** Objects in quarantine. */
  readonly quarantined: number;
  /** Requests that wait. */
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

/** What health checks and the page tell. */
export interface AdminState {
  /** Whether every export's handles and users can be answered and every listener is up. */
  readonly ready: boolean;
  readonly exports: readonly ExportState[];
}
