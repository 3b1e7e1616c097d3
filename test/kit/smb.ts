/** smbclient and rpcclient, independent of the machine's own smb.conf. */
import { execFile } from 'node:child_process';

const TIMEOUT_MS = 60_000;
const OUTPUT_LIMIT = 16 * 1024 * 1024;

/** Debian's own interpreter: another one on the PATH does not have Debian's modules. */
export const PYTHON = '/usr/bin/python3';

export interface Outcome {
  /** Exit code; -1 if it was killed at its timeout. */
  readonly code: number;
  readonly stdout: string;
  /** stdout, then stderr: Samba's tools report errors on either. */
  readonly text: string;
}

/** Runs a program to its end. Does not reject if the program fails. */
export function outcome(
  file: string,
  args: readonly string[],
  { cwd, timeoutMs = TIMEOUT_MS }: { readonly cwd?: string; readonly timeoutMs?: number } = {},
): Promise<Outcome> {
  return new Promise((resolve) => {
    const options = { timeout: timeoutMs, maxBuffer: OUTPUT_LIMIT, ...(cwd === undefined ? {} : { cwd }) };
    execFile(file, args, options, (error, stdout, stderr) => {
      const code = error ? (typeof error.code === 'number' ? error.code : -1) : 0;
      resolve({ code, stdout, text: stdout + stderr });
    });
  });
}

export interface SmbTarget {
  readonly port: number;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** A command that starts the client, for example in another network namespace: `client.enter`. */
  readonly enter?: readonly string[];
  /** `name%password`; default: none, which is a guest. */
  readonly user?: string;
}

export interface SmbClientOptions extends SmbTarget {
  readonly share: string;
  /** smbclient's commands, separated by `;`. */
  readonly command: string;
  readonly options?: readonly string[];
  /** Where `mget` and `tar` write. */
  readonly folder?: string;
}

function start(target: SmbTarget, program: string, args: readonly string[], cwd?: string): Promise<Outcome> {
  const command = [...(target.enter ?? []), program, ...common(target), ...args];
  return outcome(command[0]!, command.slice(1), cwd === undefined ? {} : { cwd });
}

const common = ({ port, user }: SmbTarget): string[] => [
  '--configfile=/dev/null',
  '--debug-stdout',
  `--port=${port}`,
  ...(user === undefined ? ['--no-pass'] : [`--user=${user}`]),
];

export function smbclient(options: SmbClientOptions): Promise<Outcome> {
  const { share, command, options: more = [], host = '127.0.0.1', folder } = options;
  return start(options, 'smbclient', [...more, `//${host}/${share}`, '-c', command], folder);
}

/** `smbclient -L`. */
export function listShares(target: SmbTarget): Promise<Outcome> {
  return start(target, 'smbclient', ['--grepable', '-L', target.host ?? '127.0.0.1']);
}

export function rpcclient(
  options: SmbTarget & { command: string; options?: readonly string[] },
): Promise<Outcome> {
  const { host = '127.0.0.1', command, options: more = [] } = options;
  return start(options, 'rpcclient', [...more, host, '-c', command]);
}
