/** What was found out about kernels: which of them boot on which machine, and what a run need not try or say twice. */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';

interface RunNotes {
  /** Which run they are of. */
  readonly run: string;
  readonly said: readonly string[];
  /** Why something cannot be had during this run, by its key. */
  readonly failures: Readonly<Record<string, string>>;
}

interface LastingVerdict {
  readonly boots: boolean;
  readonly why?: string;
}

function read(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

/** A hash of what decides whether a kernel boots here: the processor and the machine's own kernel. */
export function machine(cpuinfo = readFileSync('/proc/cpuinfo', 'utf8')): string {
  const [first = ''] = cpuinfo.split('\n\n');
  const lines = first.split('\n').filter((line) => /^(model name|flags|stepping|microcode)\s*:/.test(line));
  return createHash('sha256')
    .update([release(), ...lines].join('\n'))
    .digest('hex')
    .slice(0, 12);
}

/** Two files in `folder`. When processes write at once the last one wins; what is lost is only found out again. */
export class KernelMemory {
  readonly #verdictsFile: string;
  readonly #notesFile: string;
  readonly #run: string;
  readonly #folder: string;

  /** `run`: what all processes of one run have in common. */
  constructor(folder: string, run: string, machineId = machine()) {
    this.#folder = folder;
    this.#run = run;
    this.#verdictsFile = join(folder, `boots-${machineId}.json`);
    this.#notesFile = join(folder, 'run.json');
  }

  /** What an earlier run found out for good. */
  verdict(key: string): LastingVerdict | undefined {
    const verdict = this.#verdicts()[key];
    if (verdict?.why === undefined) return verdict;
    return { ...verdict, why: `${verdict.why} (tried before; remove ${this.#verdictsFile} to try again)` };
  }

  rememberVerdict(key: string, { boots, why }: LastingVerdict): void {
    const verdict = { boots, ...(why === undefined ? {} : { why }) };
    this.#write(this.#verdictsFile, { ...this.#verdicts(), [key]: verdict });
  }

  /** Why `key` failed earlier in this run. */
  failure(key: string): string | undefined {
    return this.#notes().failures[key];
  }

  rememberFailure(key: string, why: string): void {
    const notes = this.#notes();
    this.#write(this.#notesFile, { ...notes, failures: { ...notes.failures, [key]: why } });
  }

  /** Whether this run has not said this line yet. */
  isNews(line: string): boolean {
    const notes = this.#notes();
    if (notes.said.includes(line)) return false;
    this.#write(this.#notesFile, { ...notes, said: [...notes.said, line] });
    return true;
  }

  #verdicts(): Record<string, LastingVerdict> {
    return (read(this.#verdictsFile) ?? {}) as Record<string, LastingVerdict>;
  }

  #notes(): RunNotes {
    const notes = read(this.#notesFile) as RunNotes | undefined;
    return notes?.run === this.#run ? notes : { run: this.#run, said: [], failures: {} };
  }

  #write(path: string, content: object): void {
    mkdirSync(this.#folder, { recursive: true });
    const staged = `${path}.${String(process.pid)}`;
    writeFileSync(staged, JSON.stringify(content, null, 1));
    renameSync(staged, path);
  }
}
