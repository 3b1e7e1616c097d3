/** What an open file needs of its surroundings; files.ts provides it. */
import type { ContentCounts } from './content-counts.ts';
import type { DaemonHabits } from './daemon-habits.ts';
import type { Descriptor } from './descriptor.ts';
import type { Inquiry } from './inquiry.ts';
import type { Lane } from './lanes.ts';
import type { LateResults } from './late-results.ts';
import type { Quarantine } from './quarantine.ts';
import type { Retries } from './retries.ts';
import type { SourceWatch } from './watch.ts';
import type { ConfirmedZeros } from './zeros.ts';

/** Tells whether somebody still waits for a read that had to wait itself. */
export type Wanted = () => boolean;

export interface FileServices {
  readonly watch: SourceWatch;
  readonly quarantine: Quarantine;
  readonly retries: Retries;
  readonly lane: Lane;
  readonly late: LateResults;
  readonly habits: DaemonHabits;
  readonly counts: ContentCounts;
  readonly isFuse: () => boolean;
  readonly zeros: ConfirmedZeros;
  /** Milliseconds that a daemon may need to leave: see SourceLimits.verdict. */
  readonly verdictMs: number;
  /** Opens a path under the present epoch. */
  open(path: string, wanted: Wanted | undefined): Promise<Descriptor>;
  /** Bytes of one pread of this file. */
  partSize(path: string): number;
  /** The size by a fresh lookup. */
  sizeNow(path: string): Promise<number>;
  /** Whether a fresh look finds anything at the path. */
  isThere(path: string): Promise<boolean>;
  inquire(path: string): Inquiry;
  /**
   * Whether nothing speaks for a source that leaves: no other call is held for that, and no other file is unwell.
   * @param isWitnessed the file itself has shown that the source is well; others need not be asked.
   */
  isAboveSuspicion(path: string, isWitnessed: boolean): Promise<boolean>;
  /** A whole answer came. */
  answered(path: string, position: number, length: number): void;
  /** After a missed deadline: whether the source, and the mount that was asked, answers others. */
  stillWell(epoch: number): Promise<boolean>;
}
