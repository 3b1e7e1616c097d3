/**
 * Orphans. A process whose parent is gone becomes PID 1's, or that of its nearest ancestor that has declared itself a
 * subreaper (prctl(2)), and stays a zombie until that has waited for it. Node.js waits for its own children only. When
 * it is PID 1 of a container it therefore gives that place to a program that waits for all, and goes on below it.
 */
import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { basename, delimiter, join } from 'node:path';
import type { Logger } from '../log/index.ts';
import { exitCode } from './child.ts';
import { handledSignals } from './signals.ts';

export interface Init {
  readonly program: string;
  /** What comes before the command that it is to run. */
  readonly args: readonly string[];
  /** Whether orphans come to it also where it is not PID 1. */
  readonly subreaper: boolean;
}

/** Number of the system call prctl (asm/unistd.h) by process.arch. */
const prctl: Readonly<Record<string, number>> = {
  x64: 157,
  arm64: 167,
  arm: 172,
  ia32: 172,
  loong64: 167,
  ppc64: 171,
  riscv64: 167,
  s390x: 172,
};

const names = handledSignals.map((signal) => signal.slice('SIG'.length));

/**
 * A shell waits for every child while it waits for one. A command in the background would get /dev/null as its input.
 * At a terminal SIGINT and SIGQUIT reach the command without help, and must not end the shell.
 */
const shellInit = `
forward="${names.filter((name) => name !== 'INT' && name !== 'QUIT').join(' ')}"
if [ -t 0 ]; then trap : INT QUIT; else forward="$forward INT QUIT"; fi
pid= early=
for name in $forward; do trap "early=$name; [ -z \\"\\$pid\\" ] || kill -$name \\$pid" $name; done
exec 3<&0
"$@" <&3 3<&- &
pid=$!
exec 3<&-
[ -z "$early" ] || kill -$early $pid
while wait $pid; code=$?; kill -0 $pid 2>/dev/null; do :; done
wait $pid 2>/dev/null
last=$?
[ $last = 127 ] || code=$last
exit $code`;

/** 36 is PR_SET_CHILD_SUBREAPER. Signals wait until they can be handed on. */
const perlInit = `
use POSIX qw(:signal_h);
syscall(${prctl[process.arch] ?? -1}, 36, 1, 0, 0, 0) == 0 or exit 125;
my ($set, $old) = (POSIX::SigSet->new(${names.map((name) => `SIG${name}`).join(', ')}), POSIX::SigSet->new);
sigprocmask(SIG_BLOCK, $set, $old);
defined(my $pid = fork) or exit 125;
if (!$pid) { sigprocmask(SIG_SETMASK, $old); exec { $ARGV[0] } @ARGV; exit 127 }
for my $name (qw(${names.join(' ')})) { $SIG{$name} = sub { kill $name, $pid } }
sigprocmask(SIG_SETMASK, $old);
my $got; do { $got = wait } until $got == $pid or $got == -1;
exit($? & 127 ? 128 + ($? & 127) : $? >> 8);`;

/** Where execvp(3) looks when there is no PATH. */
const defaultPath = '/bin:/usr/bin';

/** The best first. */
export const inits: readonly Init[] = [
  { program: 'tini', args: ['-s', '--'], subreaper: true },
  { program: 'dumb-init', args: ['--'], subreaper: false },
  { program: 'sh', args: ['-c', shellInit, 'sh'], subreaper: false },
  { program: 'perl', args: ['-e', perlInit, '--'], subreaper: true },
];

/** Replaces this process by another program, which keeps its PID. Node.js 22.15, 23.11 and newer. */
type Execve = (file: string, args: readonly string[], env: NodeJS.ProcessEnv) => never;

/**
 * Runs this very command line again below an init, if this process is PID 1. Resolves with its exit code; undefined if
 * this process is to do the work itself, since it is not PID 1 or (which is logged) there is no init.
 */
export async function runBelowInit(log: Logger): Promise<number | undefined> {
  if (process.pid !== 1) return undefined;
  const { execve } = process as { execve?: Execve };
  const candidates = inits.filter(({ subreaper }) => subreaper || execve !== undefined);
  const found = findInit(candidates, process.env.PATH ?? defaultPath);
  if (!found) {
    const missing = candidates.map(({ program }) => program).join(', ');
    log.warn(
      `PID 1 is Node.js, and none of ${missing} is here: orphans stay zombies; start the container with an init (docker run --init, or tini in the image)`,
    );
    return undefined;
  }
  const self = [...found.args, process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const init = basename(found.file);
  if (execve) {
    log.info({ init }, 'orphans are reaped by an init that takes the place of PID 1');
    execve.call(process, found.file, [init, ...self], process.env);
  }
  log.info({ init }, 'orphans are reaped by an init below PID 1');
  return await relay(found.file, self);
}

/** The first of the candidates that is on the path and can run this Node.js. */
export function findInit(
  candidates: readonly Init[],
  path: string,
): { file: string; args: readonly string[] } | undefined {
  for (const { program, args } of candidates) {
    const file = path
      .split(delimiter)
      .map((folder) => join(folder, program))
      .find(isExecutable);
    if (file === undefined) continue;
    const { status } = spawnSync(file, [...args, process.execPath, '--version'], {
      stdio: 'ignore',
      timeout: 5000,
    });
    if (status === 0) return { file, args };
  }
  return undefined;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Stands in for a process: hands it every signal and ends with its exit code. */
function relay(file: string, args: readonly string[]): Promise<number> {
  // In a session of its own, so that a signal from a terminal comes once.
  const child = spawn(file, args, { stdio: 'inherit', detached: true });
  for (const signal of handledSignals) process.on(signal, () => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(exitCode({ code, signal })));
  });
}
