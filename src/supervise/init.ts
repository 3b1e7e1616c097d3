/**
 * Reaps orphans. A process whose parent has ended becomes a child of PID 1, or of its nearest ancestor that is a
 * subreaper (prctl(2)), and stays a zombie until that process waits for it. Node.js waits for its own children only.
 * Therefore, when Node.js is PID 1 of a container, it runs itself again below a program that waits for all processes.
 */
import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { basename, delimiter, join } from 'node:path';
import type { Logger } from '../log/index.ts';
import { exitCode } from './child.ts';
import { handledSignals } from './signals.ts';

export interface Init {
  readonly program: string;
  /** Arguments before the command to run. */
  readonly args: readonly string[];
  /** Whether it reaps orphans even when it is not PID 1. */
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
 * A shell reaps every child while it waits for one. A background command would read from /dev/null, so standard input
 * is passed on as descriptor 3. On a terminal the command gets SIGINT and SIGQUIT directly, and the shell must survive
 * them.
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

/** 36 is PR_SET_CHILD_SUBREAPER. Signals are blocked until they can be forwarded. */
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

/** The search path of execvp(3) when PATH is not set. */
const defaultPath = '/bin:/usr/bin';

/** In order of preference. */
export const inits: readonly Init[] = [
  { program: 'tini', args: ['-s', '--'], subreaper: true },
  { program: 'dumb-init', args: ['--'], subreaper: false },
  { program: 'sh', args: ['-c', shellInit, 'sh'], subreaper: false },
  { program: 'perl', args: ['-e', perlInit, '--'], subreaper: true },
];

/** Replaces this process by another program, which keeps the PID. Needs Node.js 22.15 or 23.11. */
type Execve = (file: string, args: readonly string[], env: NodeJS.ProcessEnv) => never;

/**
 * If this process is PID 1, runs its command line again below an init. Resolves with the exit code of that run, or with
 * undefined when this process must do the work itself: it is not PID 1, or there is no init (which is logged).
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

/** Returns the first candidate that is on the path and can run this Node.js. */
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

/** Runs a command in place of this process: forwards every signal and resolves with the exit code. */
function relay(file: string, args: readonly string[]): Promise<number> {
  // In its own session, so that a signal from the terminal does not arrive twice.
  const child = spawn(file, args, { stdio: 'inherit', detached: true });
  for (const signal of handledSignals) process.on(signal, () => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(exitCode({ code, signal })));
  });
}
