/** The services that a SourceFile uses; files.ts implements them. */
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

/** Whether a client still waits for a queued read. */
export type Wanted = () => boolean;

/** Whether a call that several callers share is still wanted by one of them. A caller without a predicate wants it always. */
export const isWanted = (callers: readonly (Wanted | undefined)[]): boolean =>
  callers.some((wanted) => wanted?.() ?? true);

export interface FileServices {
  readonly watch: SourceWatch;
  readonly quarantine: Quarantine;
  readonly retries: Retries;
  readonly lane: Lane;
  readonly late: LateResults;
  readonly habits: DaemonHabits;
  readonly counts: ContentCounts;
  readonly isFuse: () => boolean;
  /** Whether the daemon fetches ahead of a reader by itself. */
  readonly fetchesAhead: () => boolean;
  readonly zeros: ConfirmedZeros;
  /** Milliseconds that a daemon may need to shut down: see SourceLimits.verdict. */
  readonly verdictMs: number;
  /** Opens a path in the current epoch. */
  open(path: string, wanted: Wanted | undefined): Promise<Descriptor>;
  /** The most bytes that one pread of this file asks for. */
  partSize(path: string): number;
  /** The size from a fresh lookup. */
  sizeNow(path: string): Promise<number>;
  /** Whether a fresh lookup finds the path. */
  isThere(path: string): Promise<boolean>;
  inquire(path: string): Inquiry;
  /**
   * Whether nothing indicates that the daemon is shutting down: no call is held for that reason, and other files answer.
   * @param isWitnessed this file's descriptor has shown that the source is well, so other files need not be asked.
   */
  isAboveSuspicion(path: string, isWitnessed: boolean): Promise<boolean>;
  /** A read whose outcome is not judged has returned fewer bytes than the file has. */
  cameShort(): void;
  /** Notes a complete answer. */
  answered(path: string, position: number, length: number): void;
  /** After a missed deadline: whether the source still answers and is the mount of `epoch`. */
  stillWell(epoch: number): Promise<boolean>;
}
