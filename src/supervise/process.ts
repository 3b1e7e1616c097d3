/** The child as a real process. */
import { spawn, type ChildProcess } from 'node:child_process';
import { basename } from 'node:path';
import type { Readable } from 'node:stream';
import type { Logger } from '../log/index.ts';
import type { ChildExit, RunningChild, SpawnChild } from './child.ts';
import { LineReader } from './output.ts';

export const outputModes = ['inherit', 'log'] as const;
/** `inherit`: the child writes to this process's own streams. `log`: each of its lines is a line of the log. */
export type OutputMode = (typeof outputModes)[number];

export interface ProcessOptions {
  /** The program and its arguments. */
  readonly command: readonly [string, ...string[]];
  readonly output: OutputMode;
  /** Names of variables that are this process's own business, such as those that hold passwords. */
  readonly withhold?: () => readonly string[];
  readonly log: Logger;
}

/** What a child wrote last is still on its way when it has ended, and what it started may hold the pipe open: in ms. */
const outputTimeout = 500;

export function processSpawner({ command, output, withhold, log }: ProcessOptions): SpawnChild {
  const [program, ...args] = command;
  return async () => {
    const piped = output === 'log' ? 'pipe' : 'inherit';
    const withheld = new Set(withhold?.());
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !withheld.has(name)));
    const child = spawn(program, args, {
      stdio: ['inherit', piped, piped],
      env,
      // In a session of its own: Ctrl-C at a terminal comes to this process alone, which first drains the gateway.
      detached: true,
    });
    const exited = exitOf(child);
    const named = log.child({ child: basename(program) });
    if (child.stdout) logLines(child.stdout, named, 'stdout');
    if (child.stderr) logLines(child.stderr, named, 'stderr');
    await new Promise((resolve, reject) => child.once('spawn', resolve).once('error', reject));
    return runningChild(child, child.pid!, exited);
  };
}

function runningChild(child: ChildProcess, pid: number, exited: Promise<ChildExit>): RunningChild {
  return {
    pid,
    exited,
    signal: (name) => void child.kill(name),
    kill: () => {
      // Node knows when its own child is gone; of the group nothing is known once its leader has been waited for.
      if (child.exitCode !== null || child.signalCode !== null) return;
      try {
        process.kill(-pid, 'SIGKILL');
      } catch {
        child.kill('SIGKILL');
      }
    },
  };
}

function exitOf(child: ChildProcess): Promise<ChildExit> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => {
      const done = () => {
        clearTimeout(timer);
        resolve({ code, signal });
      };
      const timer = setTimeout(done, outputTimeout);
      child.once('close', done);
    });
  });
}

function logLines(stream: Readable, log: Logger, name: 'stdout' | 'stderr'): void {
  const reader = new LineReader((line) => log.info({ stream: name }, line));
  stream.on('data', (chunk: Buffer) => reader.push(chunk));
  stream.on('end', () => reader.end());
  stream.on('error', (error) => log.warn({ stream: name, reason: error.message }, 'child output lost'));
}
