import { closest, ConfigError } from '../config/index.ts';
import { ExitCode, UsageError, type Command, type Terminal } from './command.ts';
import { commands } from './commands.ts';
import { commandHelp, generalHelp } from './help.ts';
import { parse } from './parse.ts';
import { version } from '../version.ts';

/**
 * Runs the program. Resolves with its exit code: 0 done, 1 failed, 2 for an invalid command line or configuration, in which case
 * nothing was started.
 * @param argv the arguments after the program's name.
 */
export async function main(
  argv: readonly string[],
  env: NodeJS.ProcessEnv,
  terminal: Terminal = processTerminal(env),
): Promise<number> {
  try {
    return await dispatch(argv, terminal);
  } catch (error) {
    if (error instanceof ConfigError) {
      terminal.err(`${error.message}\n`);
      return ExitCode.usage;
    }
    if (error instanceof UsageError) {
      terminal.err(`holdfast: ${error.message}\n`);
      return ExitCode.usage;
    }
    terminal.err(`holdfast: ${reasonOf(error)}\n`);
    return ExitCode.failed;
  }
}

/** The error's message; for a fault of the program itself also the stack. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const isMistake = [TypeError, RangeError, ReferenceError, SyntaxError].some((one) => error instanceof one);
  return isMistake && !('code' in error) ? (error.stack ?? error.message) : error.message;
}

function processTerminal(env: NodeJS.ProcessEnv): Terminal {
  // Ignore errors of output, as the reader may end early (`holdfast --help | head`).
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  return {
    env,
    interactive: process.stdout.isTTY,
    ...(process.stdin.isTTY && process.stdout.isTTY && { ask }),
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
  };
}

async function ask(question: string): Promise<string> {
  const { createInterface } = await import('node:readline/promises');
  const lines = createInterface({ input: process.stdin, output: process.stdout });
  // Ctrl-D closes the interface and leaves the question unanswered for ever.
  const closed = new Promise<never>((_, reject) => {
    lines.once('close', () => reject(new UsageError('no answer: the input has ended')));
  });
  closed.catch(() => undefined);
  try {
    return await Promise.race([lines.question(question), closed]);
  } finally {
    lines.close();
  }
}

async function dispatch(argv: readonly string[], terminal: Terminal): Promise<number> {
  const [first, ...rest] = argv;
  if (first === undefined) {
    terminal.err(generalHelp(commands));
    return ExitCode.usage;
  }
  if (first === '--version' || first === '-V') {
    terminal.out(`${version()}\n`);
    return ExitCode.done;
  }
  if (first === '--help' || first === '-h' || first === 'help') {
    const about = rest[0] === undefined ? undefined : find(rest[0]);
    terminal.out(about ? commandHelp(about) : generalHelp(commands));
    return ExitCode.done;
  }
  const command = find(first);
  const invocation = within(command, () => parse(command, rest));
  if (invocation.has('help')) {
    terminal.out(commandHelp(command));
    return ExitCode.done;
  }
  return await command.run(invocation, terminal);
}

/** Adds a pointer to the command's help to a UsageError. */
function within<T>(command: Command, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    throw new UsageError(`${error.message}; see holdfast ${command.name} --help`, { cause: error });
  }
}

function find(name: string): Command {
  const found = commands.find((command) => command.name === name);
  if (found) return found;
  const names = commands.map((command) => command.name);
  if (name.startsWith('--'))
    throw new UsageError(`unknown flag ${name}: the command comes first (${names.join(', ')})`);
  const guess = name.includes('/') ? `serve ${name}` : closest(name, names);
  const hint =
    guess === undefined ? `expected one of ${names.join(', ')}` : `did you mean holdfast ${guess}?`;
  throw new UsageError(`unknown command ${name}; ${hint}`);
}
