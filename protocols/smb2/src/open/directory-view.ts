import type { Node, Volume } from '../share/volume.ts';

/** What a scan or a change notification has to know of the open it belongs to. */
export interface DirectoryView {
  readonly share: Volume;
  readonly node: Node;
  /** Opened with the POSIX create context. */
  readonly posix: boolean;
  readonly maxSymlinkHops: number;
  /** Of the links it was reached by: see `presentedId`. */
  readonly alias: bigint;
}
