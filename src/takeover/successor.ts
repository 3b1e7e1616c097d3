/** Starts the process that replaces this one. */
import { spawn, type ChildProcess } from 'node:child_process';
import { handOver, isReady } from './inheritance.ts';
import type { InheritedSockets } from './listeners.ts';

export interface SuccessorOptions {
  readonly sockets: InheritedSockets;
  /** The program and its arguments. Default: those of this process, loaded from disk again. */
  readonly command?: readonly [string, ...string[]];
  /** Longest time until the successor serves, in ms. Default 30 s: it looks at sources that may hang. */
  readonly readyMs?: number;
  /** Cancels the attempt while the successor does not yet serve. */
  readonly signal?: AbortSignal;
}

const readyTimeout = 30_000;
/** Time from SIGTERM to SIGKILL for a successor that is no longer wanted, in ms. */
const killTimeout = 5_000;

/** Resolves with the process id once the successor serves. Otherwise ends the successor and rejects. */
export async function startSuccessor(options: SuccessorOptions): Promise<number> {
  const [program, ...args] = options.command ?? ownCommand();
  const { env, stdio } = handOver(options.sockets);
  const child = spawn(program, args, { stdio: [...stdio], env: { ...process.env, ...env } });
  try {
    await whenReady(child, options);
  } catch (error) {
    end(child);
    throw error;
  }
  if (child.connected) child.disconnect();
  child.unref();
  return child.pid!;
}

const ownCommand = (): [string, ...string[]] => [
  process.execPath,
  ...process.execArgv,
  ...process.argv.slice(1),
];

function whenReady(child: ChildProcess, { readyMs = readyTimeout, signal }: SuccessorOptions): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    const settle = (failure?: Error) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', aborted);
      if (failure) reject(failure);
      else resolve();
    };
    const aborted = () => settle(new Error('this process is asked to stop'));
    const timer = setTimeout(() => settle(new Error(`it was not ready within ${readyMs / 1000} s`)), readyMs);
    signal?.addEventListener('abort', aborted, { once: true });
    child.once('error', settle);
    child.once('exit', (code, by) => settle(new Error(`it ended with ${by ?? `exit code ${code!}`}`)));
    child.on('message', (message) => {
      if (isReady(message)) settle();
    });
  });
}

function end(child: ChildProcess): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), killTimeout).unref();
  child.once('exit', () => clearTimeout(timer));
}
