/** Runs the child as a real process. */
import { spawn, type ChildProcess } from 'node:child_process';
import { basename } from 'node:path';
import type { Readable } from 'node:stream';
import type { Logger } from '../log/index.ts';
import type { ChildExit, RunningChild, SpawnChild } from './child.ts';
import { LineReader } from './output.ts';

export const outputModes = ['inherit', 'log'] as const;
/** `inherit`: the child writes to the streams of this process. `log`: each line of the child becomes a log line. */
export type OutputMode = (typeof outputModes)[number];

export interface ProcessOptions {
  /** The program and its arguments. */
  readonly command: readonly [string, ...string[]];
  readonly output: OutputMode;
  /** Name of the child in the log. Default: that of the program. */
  readonly name?: string;
  /** Names of environment variables to keep from the child, such as those that hold passwords. */
  readonly withhold?: () => readonly string[];
  readonly log: Logger;
}

/** How long to wait for the last output of a child that has ended, in ms. Its own children may keep the pipe open. */
const outputTimeout = 500;

export function processSpawner({ command, output, name, withhold, log }: ProcessOptions): SpawnChild {
  const [program, ...args] = command;
  return async () => {
    const piped = output === 'log' ? 'pipe' : 'inherit';
    const withheld = new Set(withhold?.());
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !withheld.has(name)));
    const child = spawn(program, args, {
      stdio: ['inherit', piped, piped],
      env,
      // In its own session: Ctrl-C on a terminal reaches this process only, which drains the gateway first.
      detached: true,
    });
    const exited = exitOf(child);
    const named = log.child({ child: name ?? basename(program) });
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
      // Once Node.js has waited for the child, the system may give its process group id to others: do not signal it.
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
