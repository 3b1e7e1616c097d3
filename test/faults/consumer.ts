/** Builds the guest's consumer program and reads what it reports. */
import { fileURLToPath } from 'node:url';
import type { GuestJob } from '../kit/uml.ts';
import { compiled } from './compile.ts';
import { within } from './time.ts';

/** Linked statically: the guest has no libraries. */
export function consumerProgram(): string {
  return compiled(fileURLToPath(new URL('consumer.c', import.meta.url)), ['-static']);
}

export interface FailedCall {
  readonly call: string;
  readonly path: string;
  /** The errno's name; ENODATA for a file or folder that ended too early or too late. */
  readonly error: string;
  /** The offset in the file, or how many entries had come. */
  readonly at: number;
  /** Since the consumer began. */
  readonly afterMs: number;
}

/** What one consumer saw. */
export interface Seen {
  readonly bytes: number;
  /** Pages (4 KiB) that were those of the `other` seed. */
  readonly otherPages: number;
  /** The offset of the first page that was neither seed's, or -1. */
  readonly wrongAt: number;
  /** Passes over the file or folder, failed ones included. */
  readonly loops: number;
  /** The fewest and the most entries in a listing that came to its end, or -1. */
  readonly entriesMin: number;
  readonly entriesMax: number;
  /** Names that came twice in one listing. */
  readonly doubled: number;
  /** A reader's longest open or read, a lister's longest listing with a look at two entries. */
  readonly longestMs: number;
  readonly longestAtMs: number;
  /** What of it took longest. */
  readonly longestCall: string;
  /** Until the first byte, or -1. */
  readonly firstMs: number;
  readonly tookMs: number;
  readonly errorCount: number;
  /** The first of them. */
  readonly errors: readonly FailedCall[];
  /** What `names` listed, sorted. */
  readonly names: readonly string[];
}

export interface ReadOptions {
  /** What decides the bytes (content.ts). Default: the path. */
  readonly seed?: string;
  /** The bytes may be those of this seed instead, page by page. */
  readonly other?: string;
  /** The whole file's; that is checked. */
  readonly size?: number;
  /** Bytes for each read. Default 256 KiB. */
  readonly chunk?: number;
  /** Bytes a second. Default: as fast as it goes. */
  readonly rate?: number;
  readonly from?: number;
  readonly limit?: number;
}

export interface ListOptions {
  readonly expected?: number;
  /** Bytes for each getdents. Default and most 32 KiB. */
  readonly chunk?: number;
  /** Drops the guest's caches before each pass. */
  readonly drop?: 1;
}

export interface LoopOptions {
  /** Marks this when `at` bytes or, in `names`, entries have come; `list` when it has been through once. */
  readonly mark?: string;
  readonly at?: number;
  /** Goes on behind the mark only once this flag is there. */
  readonly wait?: string;
  /** Again and again until this flag is there. */
  readonly loop?: string;
  /** Milliseconds between passes. */
  readonly pause?: number;
  /** Milliseconds until another try after a failed pass. Default: none. */
  readonly retry?: number;
}

export class Consumer {
  readonly seen: Promise<Seen>;
  readonly #what: string;
  readonly #job: GuestJob;

  constructor(what: string, job: GuestJob, record: (seen: Seen) => void) {
    this.#what = what;
    this.#job = job;
    this.seen = job.result.then(({ code, stdout, stderr }) => {
      const lines = stdout.trimEnd().split('\n');
      const last = lines.pop() ?? '';
      if (code !== 0 || !last.startsWith('{')) throw new Error(`the consumer ended with ${code}: ${stderr}`);
      const seen = { ...(JSON.parse(last) as Omit<Seen, 'names'>), names: lines };
      record(seen);
      return seen;
    });
    // Whoever wants it later may look at it; after a failure elsewhere nobody does.
    this.seen.catch(() => undefined);
  }

  async marked(name: string, timeoutMs = 60_000): Promise<void> {
    await within(this.#job.marked(name), timeoutMs, `mark ${name} of ${this.#what}`);
  }

  /** What it saw; fails if it takes longer. */
  async done(timeoutMs = 60_000): Promise<Seen> {
    return await within(this.seen, timeoutMs, `the end of ${this.#what}`);
  }

  kill(): void {
    this.#job.kill('KILL');
  }
}
