import type { Command, Flag } from './command.ts';
import { flagsOf } from './parse.ts';

/** Formats rows of two columns. The left one is as wide as its widest cell. */
function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `${`  ${left.padEnd(width)}  ${right}`.trimEnd()}\n`).join('');
}

const flagText = ({ name, value }: Flag) => (value === undefined ? `--${name}` : `--${name} ${value}`);

export function generalHelp(commands: readonly Command[]): string {
  return `Holdfast serves a FUSE tree over NFSv3 and SMB to other machines, so that their mounts never go stale.

Usage: holdfast COMMAND [options]

Commands:
${columns(commands.map(({ name, usage, summary }) => [`${name} ${usage}`.replace(/ ?\[options\]$/, ''), summary]))}
Options:
${columns([
  ['COMMAND --help', 'what a command does, and its options'],
  ['--version', 'show the version'],
])}
Settings come from options, then from HOLDFAST_NFS_LISTEN, HOLDFAST_SMB_LISTEN, HOLDFAST_ADMIN_LISTEN,
HOLDFAST_LOG_LEVEL, HOLDFAST_STATE, HOLDFAST_IDENTITY, HOLDFAST_SECRET_FILE and HOLDFAST_CONFIG (the file),
then from the file.

Examples:
${columns([
  ['holdfast demo', 'a small tree to try it with'],
  [
    'holdfast serve /mnt/dfs',
    'serve what is or will be mounted at /mnt/dfs, read-only, to private addresses',
  ],
])}`;
}

export function commandHelp(command: Command): string {
  const { name, usage, description, examples } = command;
  return `Usage: holdfast ${name} ${usage}

${description}

Options:
${columns(flagsOf(command).map((flag) => [flagText(flag), flag.help]))}
Examples:
${columns(examples)}`;
}
