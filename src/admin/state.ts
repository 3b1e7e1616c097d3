import type { SourceState } from './metrics.ts';

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
}

/** What health checks and the page tell. */
export interface AdminState {
  /** Whether every export's handles and users can be answered and every listener is up. */
  readonly ready: boolean;
  readonly exports: readonly ExportState[];
}
