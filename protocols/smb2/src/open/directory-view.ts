import type { Node, Volume } from '../share/volume.ts';

/** What a scan or a change notification needs of its open. */
export interface DirectoryView {
  readonly share: Volume;
  readonly node: Node;
  /** Whether the open was made with the POSIX create context. */
  readonly posix: boolean;
  readonly maxSymlinkHops: number;
  /** Alias id of the links that led to it: see `presentedId`. */
  readonly alias: bigint;
}
