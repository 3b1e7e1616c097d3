import { parseArgs } from 'node:util';
import { closest } from '../config/index.ts';
import { UsageError, type Command, type Flag, type Invocation } from './command.ts';

const helpFlag: Flag = { name: 'help', help: 'show this text' };

export const flagsOf = (command: Command): readonly Flag[] => [...command.flags, helpFlag];

/** Reads the arguments of one command. Throws UsageError. */
export function parse(command: Command, args: readonly string[]): Invocation {
  const flags = new Map(flagsOf(command).map((flag) => [flag.name, flag]));
  const options: Record<string, { type: 'string' | 'boolean'; short?: string }> = {};
  for (const { name, value } of flags.values())
    options[name] = {
      type: value === undefined ? 'boolean' : 'string',
      ...(name === 'help' ? { short: 'h' } : {}),
    };
  // Not strict: report errors here, in one line and with a suggestion.
  const { tokens } = parseArgs({
    args: [...args],
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const given = new Map<string, string>();
  const positionals: string[] = [];
  const rest: string[] = [];
  let destination = positionals;
  for (const token of tokens) {
    if (token.kind === 'option-terminator' && command.positionals.rest !== undefined) destination = rest;
    if (token.kind === 'positional') destination.push(token.value);
    if (token.kind !== 'option') continue;
    const flag = flags.get(token.name);
    if (!flag) throw new UsageError(unknownFlag(token.rawName, token.name, flags.keys()));
    given.set(flag.name, valueOf(flag, token.value, token.inlineValue ?? false));
  }
  const invocation: Invocation = {
    positionals,
    rest,
    text: (flag) => given.get(flag),
    has: (flag) => given.has(flag),
  };
  if (!invocation.has('help')) checkPositionals(command, invocation);
  return invocation;
}

function valueOf(flag: Flag, value: string | undefined, inline: boolean): string {
  if (flag.value === undefined) {
    if (value !== undefined) throw new UsageError(`--${flag.name} takes no value`);
    return '';
  }
  if (value === undefined || value === '' || (!inline && value.startsWith('-')))
    throw new UsageError(`--${flag.name} needs a value: --${flag.name} ${flag.value}`);
  return value;
}

function unknownFlag(written: string, name: string, known: Iterable<string>): string {
  const guess = name.length > 1 ? closest(name, known) : undefined;
  return `unknown flag ${written}${guess === undefined ? '' : ` (did you mean --${guess}?)`}`;
}

function checkPositionals(
  { positionals: { names, required } }: Command,
  { positionals: given }: Invocation,
): void {
  if (given.length < required) throw new UsageError(`${names[given.length]!} is missing`);
  const extra = given[names.length];
  if (extra !== undefined) throw new UsageError(`unexpected argument ${JSON.stringify(extra)}`);
}
