/** Remembers which kernels boot on which machine, and failures and messages that a run need not repeat. */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';

interface RunNotes {
  /** The run that wrote these notes. */
  readonly run: string;
  readonly said: readonly string[];
  /** Reasons of failures during this run, by key. */
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

/** A hash of the processor and the machine's own kernel, which decide whether a kernel boots here. */
export function machine(cpuinfo = readFileSync('/proc/cpuinfo', 'utf8')): string {
  const [first = ''] = cpuinfo.split('\n\n');
  const lines = first.split('\n').filter((line) => /^(model name|flags|stepping|microcode)\s*:/.test(line));
  return createHash('sha256')
    .update([release(), ...lines].join('\n'))
    .digest('hex')
    .slice(0, 12);
}

/** Two files in `folder`. If processes write at the same time, the last one wins; a lost result is only probed again. */
export class KernelMemory {
  readonly #verdictsFile: string;
  readonly #notesFile: string;
  readonly #run: string;
  readonly #folder: string;

  /** @param run an id that all processes of one run share. */
  constructor(folder: string, run: string, machineId = machine()) {
    this.#folder = folder;
    this.#run = run;
    this.#verdictsFile = join(folder, `boots-${machineId}.json`);
    this.#notesFile = join(folder, 'run.json');
  }

  /** The lasting verdict of an earlier run. */
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

  /** Whether this run has not printed this line yet. Records it. */
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
