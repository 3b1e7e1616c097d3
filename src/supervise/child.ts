/** Keeps one child running: starts it, restarts it as its policy says, and ends it when asked to stop. */
import { constants } from 'node:os';
import type { Logger } from '../log/index.ts';
import { Backoff, type BackoffOptions } from './backoff.ts';
import type { RestartPolicy } from './policies.ts';

export interface ChildExit {
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface RunningChild {
  readonly pid: number;
  /** Never rejects. */
  readonly exited: Promise<ChildExit>;
  /** Sends a signal to the child alone. */
  signal(name: NodeJS.Signals): void;
  /** Sends SIGKILL to the process group of the child. */
  kill(): void;
}

/** Rejects, with an errno as `code`, when the program cannot be started. */
export type SpawnChild = () => Promise<RunningChild>;

export interface ChildOptions {
  readonly spawn: SpawnChild;
  readonly restart: RestartPolicy;
  /** A command to run before the child is restarted after a crash (a signal or an exit code other than 0). */
  readonly afterCrash?: SpawnChild | undefined;
  /** Time from the stop signal to SIGKILL, in ms. */
  readonly graceMs: number;
  readonly log: Logger;
  readonly backoff?: BackoffOptions;
}

export type ChildState = 'starting' | 'running' | 'backing off' | 'stopping' | 'ended';

/** A shell's exit codes for a command that does not exist and for one that cannot be run. */
const spawnFailureCodes: Readonly<Record<string, number>> = { ENOENT: 127, EACCES: 126 };
const cannotRun = 126;

/**
 * Even SIGKILL does not end a process that waits in the kernel, for example on a FUSE tree that hangs. The supervisor
 * stops waiting for it after this time, in ms.
 */
const killTimeout = 5000;

/** An exit as a shell's exit code: 128 + n for signal n. */
export function exitCode({ code, signal }: ChildExit): number {
  return signal === null ? (code ?? 0) : 128 + constants.signals[signal];
}

export class ChildSupervisor {
  /** Resolves with the exit code once the child has ended and will not be restarted. */
  readonly ended: Promise<number>;
  /** Resolves when the child has been started, or is to be started again. */
  readonly begun: Promise<void>;
  readonly #options: ChildOptions;
  readonly #backoff: Backoff;
  #resolveEnded: (code: number) => void = () => undefined;
  #resolveBegun: () => void = () => undefined;
  #state: ChildState = 'starting';
  #child: RunningChild | undefined;
  /** The --after-crash command, while it runs. */
  #command: RunningChild | undefined;
  #hasRun = false;
  /** Whether the last run ended with a signal or an exit code other than 0. */
  #hasCrashed = false;
  #stopSignal: NodeJS.Signals | undefined;
  #timer: NodeJS.Timeout | undefined;
  #graceMs: number;

  /** Starts the child at once. */
  constructor(options: ChildOptions) {
    this.#options = options;
    this.#graceMs = options.graceMs;
    this.#backoff = new Backoff(options.backoff);
    this.ended = new Promise((resolve) => (this.#resolveEnded = resolve));
    this.begun = new Promise((resolve) => (this.#resolveBegun = resolve));
    void this.#run();
  }

  get state(): ChildState {
    return this.#state;
  }

  /** Whether the command could be run at all, or it was asked to stop before that was known. */
  get hasRun(): boolean {
    return this.#hasRun || this.#stopSignal !== undefined;
  }

  /** Sends the signal to the child. Returns whether a child was running. */
  signal(name: NodeJS.Signals): boolean {
    this.#child?.signal(name);
    return this.#child !== undefined;
  }

  /**
   * Ends the child and does not restart it: sends `signal`, then SIGKILL after `graceMs`. Resolves with the exit code,
   * 0 if no child was running, within `graceMs` + 5 s.
   */
  stop(signal: NodeJS.Signals, graceMs = this.#options.graceMs): Promise<number> {
    this.#stopSignal ??= signal;
    this.#graceMs = graceMs;
    if (this.#state === 'backing off') this.#end(0);
    else if (this.#state === 'running') this.#terminate(this.#stopSignal);
    return this.ended;
  }

  /** Kills the child at once. */
  kill(): void {
    this.#stopSignal ??= 'SIGKILL';
    this.#child?.kill();
  }

  async #run(): Promise<void> {
    this.#state = 'starting';
    let child: RunningChild;
    try {
      child = await this.#options.spawn();
    } catch (error) {
      this.#failed(error as NodeJS.ErrnoException);
      return;
    }
    const startedAt = performance.now();
    this.#child = child;
    this.#hasRun = true;
    this.#state = 'running';
    this.#resolveBegun();
    this.#options.log.info({ childPid: child.pid }, 'child started');
    // stop() was called while the child was starting.
    if (this.#stopSignal !== undefined) this.#terminate(this.#stopSignal);
    const exit = await child.exited;
    this.#child = undefined;
    this.#exited(child.pid, exit, performance.now() - startedAt);
  }

  #terminate(signal: NodeJS.Signals): void {
    const { log } = this.#options;
    const graceMs = this.#graceMs;
    const child = this.#child!;
    this.#state = 'stopping';
    log.info({ childPid: child.pid, signal }, 'stopping the child');
    child.signal(signal);
    this.#timer = setTimeout(() => {
      log.warn(
        { childPid: child.pid, graceMs: Math.round(graceMs) },
        'the child did not end in time: killing it',
      );
      child.kill();
      this.#timer = setTimeout(() => {
        log.error({ childPid: child.pid }, 'the child did not end after SIGKILL: not waiting any longer');
        this.#end(128 + constants.signals.SIGKILL);
      }, killTimeout);
    }, graceMs);
  }

  #exited(pid: number, exit: ChildExit, ranMs: number): void {
    // The supervisor has stopped waiting for this child.
    if (this.#state === 'ended') return;
    const restart = this.#stopSignal === undefined && this.#wantsRestart(exitCode(exit));
    this.#hasCrashed = exitCode(exit) !== 0;
    const line = { childPid: pid, ...exit, ranMs: Math.round(ranMs) };
    if (restart) this.#restartAfter(ranMs, line, 'child ended');
    else {
      this.#options.log.info(line, 'child ended');
      this.#end(exitCode(exit));
    }
  }

  #failed(error: NodeJS.ErrnoException): void {
    const { log } = this.#options;
    const code = spawnFailureCodes[error.code ?? ''];
    const line = { reason: error.message };
    // A command that never ran is wrong and stays wrong. One that ran before is being replaced, so try again.
    const hopeless = code !== undefined && !this.#hasRun;
    if (this.#stopSignal === undefined && !hopeless && this.#wantsRestart(cannotRun)) {
      this.#restartAfter(0, line, 'child cannot be started');
      return;
    }
    log.error(line, 'child cannot be started');
    this.#end(code ?? cannotRun);
  }

  #wantsRestart(code: number): boolean {
    const { restart } = this.#options;
    return restart === 'always' || (restart === 'on-failure' && code !== 0);
  }

  #restartAfter(ranMs: number, line: object, what: string): void {
    const restartInMs = this.#backoff.after(ranMs);
    this.#options.log.warn({ ...line, restartInMs }, `${what}: starting it again`);
    this.#state = 'backing off';
    this.#resolveBegun();
    this.#timer = setTimeout(() => void this.#runAgain(), restartInMs);
  }

  async #runAgain(): Promise<void> {
    if (this.#hasCrashed && this.#options.afterCrash) await this.#cleanUp(this.#options.afterCrash);
    // stop() was called while the command ran.
    if (this.#state === 'ended') return;
    if (this.#stopSignal !== undefined) this.#end(0);
    else await this.#run();
  }

  /** Gives the command `graceMs` to end. The child is restarted whatever the result. */
  async #cleanUp(spawn: SpawnChild): Promise<void> {
    const { log, graceMs } = this.#options;
    this.#hasCrashed = false;
    try {
      const command = await spawn();
      log.info({ commandPid: command.pid }, 'running the --after-crash command');
      this.#command = command;
      const timer = setTimeout(() => command.kill(), graceMs);
      const exit = await command.exited;
      this.#command = undefined;
      clearTimeout(timer);
      if (exitCode(exit) !== 0) log.warn(exit, 'the --after-crash command failed');
    } catch (error) {
      log.warn({ reason: (error as Error).message }, 'the --after-crash command cannot be started');
    }
  }

  #end(code: number): void {
    clearTimeout(this.#timer);
    this.#command?.kill();
    this.#state = 'ended';
    this.#resolveEnded(code);
  }
}
