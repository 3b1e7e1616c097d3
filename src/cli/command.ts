/** What a command is: one row in the table of commands, one file with its help and its work. */

export interface Flag {
  /** Without the dashes. */
  readonly name: string;
  /** What its value is, in capitals; a flag without takes no value. */
  readonly value?: string;
  readonly help: string;
}

/** What the command line of one command says. */
export interface Invocation {
  readonly positionals: readonly string[];
  /** What follows `--`, for a command that takes a command line there. */
  readonly rest: readonly string[];
  /** The value of a flag that takes one. */
  text(flag: string): string | undefined;
  has(flag: string): boolean;
}

/** Where a command reads and writes; replaced in tests. */
export interface Terminal {
  readonly env: NodeJS.ProcessEnv;
  /** Whether a person reads standard output. */
  readonly interactive: boolean;
  /** Asks a person, who answers with one line; undefined where there is none. */
  ask?(question: string): Promise<string>;
  out(text: string): void;
  err(text: string): void;
}

export interface Command {
  readonly name: string;
  /** One line. */
  readonly summary: string;
  /** What follows the name: `PATH [options]`. */
  readonly usage: string;
  /** Paragraphs, each at most 100 columns wide. */
  readonly description: string;
  readonly flags: readonly Flag[];
  /** Command lines with what they do. */
  readonly examples: readonly (readonly [string, string])[];
  /** Names of what stands without dashes, and how many of them have to be there. */
  readonly positionals: {
    readonly names: readonly string[];
    readonly required: number;
    /** Name of the command line that may follow `--`. */
    readonly rest?: string;
  };
  /** Resolves to the exit code. */
  run(invocation: Invocation, terminal: Terminal): Promise<number>;
}

/** A command line that makes no sense. The message is one line. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export const ExitCode = { done: 0, failed: 1, usage: 2 } as const;
