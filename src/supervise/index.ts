/** Runs a program beside the gateway, and stops both in the order that clients do not notice. */
import type { Logger } from '../log/index.ts';
import { ChildSupervisor, type RestartPolicy, type SpawnChild } from './child.ts';
import { listenForSignals, type SignalOptions } from './signals.ts';

export { restartPolicies, type RestartPolicy } from './child.ts';
export { runBelowInit } from './init.ts';
export { outputModes, processSpawner, type OutputMode } from './process.ts';

export interface SuperviseOptions {
  readonly spawn: SpawnChild;
  readonly restart: RestartPolicy;
  readonly afterCrash?: SpawnChild | undefined;
  /** Called once the child is starting. Its result is closed before the child is asked to end. */
  readonly startGateway: () => Promise<{ close(): Promise<void> }>;
  /** Longest time for the gateway to drain, in ms. */
  readonly drainMs: number;
  /** Longest time for the child to end, in ms. */
  readonly graceMs: number;
  readonly forwardHangup: boolean;
  readonly log: Logger;
  /** Where signals come from. Default: this process. */
  readonly source?: NonNullable<SignalOptions['source']>;
}

/**
 * Runs the child and the gateway until this process is asked to stop or the child has ended and is not restarted.
 * Closes the gateway first, since its outstanding requests may need the child. A second stop signal skips waiting for
 * the gateway, a third one kills the child. Resolves with the child's exit code (128 + n for signal n) within `drainMs`
 * + `graceMs` + 5 s of the first signal. When the gateway cannot start, ends the child and rejects.
 */
export async function supervise(options: SuperviseOptions): Promise<number> {
  const child = new ChildSupervisor(options);
  const stop = new StopRequests(() => child.kill());
  const forward = (signal: NodeJS.Signals) => child.signal(signal);
  const unlisten = listenForSignals({ stop: (signal) => stop.add(signal), forward }, options);
  // The child must not outlive this process, even when an uncaught error ends it.
  const onExit = () => void child.signal('SIGTERM');
  process.on('exit', onExit);
  try {
    const gateway = options.startGateway();
    const failure = gateway.then(() => new Promise<never>(() => undefined));
    try {
      await Promise.race([stop.first, child.ended, failure]);
    } catch (error) {
      await child.stop('SIGTERM');
      throw error;
    }
    const { signal } = stop;
    options.log.info(
      signal === undefined ? {} : { signal },
      signal ? 'asked to stop' : 'the child has ended',
    );
    await drain(gateway, signal === undefined ? stop.first : stop.second, options);
    return await child.stop(signal ?? 'SIGTERM');
  } finally {
    process.off('exit', onExit);
    unlisten();
  }
}

/** Closes the gateway, even while it is starting. Stops waiting after `drainMs` or when `impatience` resolves. */
async function drain(
  gateway: Promise<{ close(): Promise<void> }>,
  impatience: Promise<void>,
  { drainMs, log }: SuperviseOptions,
): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<void>((resolve) => (timer = setTimeout(resolve, drainMs)));
  const closed = gateway.then((one) => one.close()).then(() => true);
  try {
    const done = await Promise.race([closed, timeout, impatience]);
    if (done !== true) log.warn({ drainMs }, 'not waiting any longer for outstanding requests');
  } catch (error) {
    log.error({ err: error }, 'the gateway did not close');
  } finally {
    clearTimeout(timer);
  }
}

/** Counts the stop signals. */
class StopRequests {
  /** The first stop signal. */
  signal: NodeJS.Signals | undefined;
  readonly first: Promise<void>;
  readonly second: Promise<void>;
  readonly #steps: (() => void)[] = [];
  readonly #further: () => void;

  constructor(further: () => void) {
    this.first = new Promise((resolve) => this.#steps.push(resolve));
    this.second = new Promise((resolve) => this.#steps.push(resolve));
    this.#further = further;
  }

  add(signal: NodeJS.Signals): void {
    this.signal ??= signal;
    const step = this.#steps.shift() ?? this.#further;
    step();
  }
}
