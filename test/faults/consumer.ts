/** Builds the guest's consumer program and parses its report. */
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
  /** Name of the errno; ENODATA if a file or folder ended too early or too late. */
  readonly error: string;
  /** The offset in the file, or the number of entries read so far. */
  readonly at: number;
  /** Time since the consumer's start. */
  readonly afterMs: number;
}

/** What one consumer saw. */
export interface Seen {
  readonly bytes: number;
  /** Pages (4 KiB) that matched the `other` seed. */
  readonly otherPages: number;
  /** The offset of the first page that matched neither seed, or -1. */
  readonly wrongAt: number;
  /** Passes over the file or folder, failed ones included. */
  readonly loops: number;
  /** The fewest and the most entries in a complete listing, or -1. */
  readonly entriesMin: number;
  readonly entriesMax: number;
  /** Names that came twice in one listing. */
  readonly doubled: number;
  /** A reader's longest open or read; a lister's longest listing including the stat of two entries. */
  readonly longestMs: number;
  readonly longestAtMs: number;
  /** The name of that call. */
  readonly longestCall: string;
  /** Time until the first byte, or -1. */
  readonly firstMs: number;
  readonly tookMs: number;
  readonly errorCount: number;
  /** The first of them. */
  readonly errors: readonly FailedCall[];
  /** What `names` listed, sorted. */
  readonly names: readonly string[];
}

export interface ReadOptions {
  /** The seed of the bytes (content.ts). Default: the path. */
  readonly seed?: string;
  /** A second seed: each page may match either. */
  readonly other?: string;
  /** Size of the whole file, which is checked. */
  readonly size?: number;
  /** Bytes for each read. Default 256 KiB. */
  readonly chunk?: number;
  /** Bytes per second. Default: unlimited. */
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
  /** Calls `mark` with this name after `at` bytes (`names`: entries); `list` calls it after the first pass. */
  readonly mark?: string;
  readonly at?: number;
  /** Waits for this flag after the mark. */
  readonly wait?: string;
  /** Repeats until this flag is set. */
  readonly loop?: string;
  /** Milliseconds between passes. */
  readonly pause?: number;
  /** Milliseconds until a failed pass is retried. Default: no retry. */
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
    // No unhandled rejection: after a failure elsewhere nothing awaits this.
    this.seen.catch(() => undefined);
  }

  async marked(name: string, timeoutMs = 60_000): Promise<void> {
    await within(this.#job.marked(name), timeoutMs, `mark ${name} of ${this.#what}`);
  }

  /** Waits for the consumer's end and returns its report. Fails after `timeoutMs`. */
  async done(timeoutMs = 60_000): Promise<Seen> {
    return await within(this.seen, timeoutMs, `the end of ${this.#what}`);
  }

  kill(): void {
    this.#job.kill('KILL');
  }
}
