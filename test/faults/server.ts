/** Who serves the tree in a lab: Holdfast, or a peer that is put to the same faults. */
import type { FuseTreeOptions } from '../kit/fuse.ts';
import type { LogLine } from '../kit/gateway.ts';

export type Protocol = 'nfs' | 'smb';

/** A running server, with all its processes. */
export interface Server {
  readonly pid: number;
  /** SIGTERM; SIGKILL if it has not ended after `timeoutMs`, which is then an error. Resolves with the exit code. */
  stop(timeoutMs?: number): Promise<number | null>;
  /** SIGKILL, to all of it at once: a crash. */
  kill(): Promise<void>;
  /** Its log, for a failure's message. */
  dump(): string;
  /** What it logged that nobody may log, whatever the fault. */
  errors(): readonly LogLine[];
}

export interface Start {
  /** Where the tree is mounted. */
  readonly mountpoint: string;
  readonly protocols: readonly Protocol[];
  /** A name below /run/netns to start in. */
  readonly netns: string;
}

/** One lab's server between its starts: its configuration, and what it keeps. */
export interface Place {
  /** What the tree must be like, and where, to be served at all. */
  readonly tree?: FuseTreeOptions;
  /** By which name NFS clients mount the tree, and where they ask. Default: /dfs, at the NFS port. */
  readonly nfs?: { readonly export: string; readonly mountPort: number };
  start(options: Start): Promise<Server>;
  /** Removes what it keeps. The server and the tree are gone by then. */
  dispose(): void;
}

export interface ServerKind {
  /** Name and version, for the table. */
  readonly name: string;
  prepare(): Place;
}
