/** The server of the tree in a lab: Holdfast, or another server under the same faults. */
import type { FuseTreeOptions } from '../kit/fuse.ts';
import type { LogLine } from '../kit/gateway.ts';

export type Protocol = 'nfs' | 'smb';

/** A running server, with all its processes. */
export interface Server {
  readonly pid: number;
  /** Sends SIGTERM. If it has not ended after `timeoutMs`, kills it and rejects. Resolves with the exit code. */
  stop(timeoutMs?: number): Promise<number | null>;
  /** SIGKILL to all its processes: a crash. */
  kill(): Promise<void>;
  /** Its log, for a failure's message. */
  dump(): string;
  /** Log lines that must not appear, whatever the fault. */
  errors(): readonly LogLine[];
}

export interface Start {
  /** Where the tree is mounted. */
  readonly mountpoint: string;
  readonly protocols: readonly Protocol[];
  /** A name below /run/netns to start in. */
  readonly netns: string;
}

/** What one lab's server keeps across restarts: its configuration and files. */
export interface Place {
  /** Options that the tree needs for this server. */
  readonly tree?: FuseTreeOptions;
  /** The export's path and the MOUNT port for NFS clients. Default: /dfs and the NFS port. */
  readonly nfs?: { readonly export: string; readonly mountPort: number };
  start(options: Start): Promise<Server>;
  /** Removes its files. Called after the server and the tree have ended. */
  dispose(): void;
}

export interface ServerKind {
  /** Name and version, for the table. */
  readonly name: string;
  prepare(): Place;
}
