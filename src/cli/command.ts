/** The parts of a command. Each command is one file and one row in the table of commands. */

export interface Flag {
  /** Without the dashes. */
  readonly name: string;
  /** Name of its value, in capitals; undefined if it takes no value. */
  readonly value?: string;
  readonly help: string;
}

/** The parsed command line of a command. */
export interface Invocation {
  readonly positionals: readonly string[];
  /** The arguments after `--`, for a command that accepts them. */
  readonly rest: readonly string[];
  /** The value of a flag that takes one. */
  text(flag: string): string | undefined;
  has(flag: string): boolean;
}

/** Input and output of a command; replaced in tests. */
export interface Terminal {
  readonly env: NodeJS.ProcessEnv;
  /** Whether standard output is a terminal. */
  readonly interactive: boolean;
  /** Asks the user a question and returns one line; undefined without a terminal. */
  ask?(question: string): Promise<string>;
  out(text: string): void;
  err(text: string): void;
}

export interface Command {
  readonly name: string;
  /** One line. */
  readonly summary: string;
  /** The arguments after the name: `PATH [options]`. */
  readonly usage: string;
  /** Paragraphs, each at most 100 columns wide. */
  readonly description: string;
  readonly flags: readonly Flag[];
  /** Command lines, each with an explanation. */
  readonly examples: readonly (readonly [string, string])[];
  /** Names of the positional arguments, and how many of them are required. */
  readonly positionals: {
    readonly names: readonly string[];
    readonly required: number;
    /** Name of the command line that may follow `--`. */
    readonly rest?: string;
  };
  /** Resolves to the exit code. */
  run(invocation: Invocation, terminal: Terminal): Promise<number>;
}

/** The command line is not valid. The message is one line. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export const ExitCode = { done: 0, failed: 1, usage: 2 } as const;
