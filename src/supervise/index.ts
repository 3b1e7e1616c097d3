/** Runs a program beside the gateway, in the order that its clients never notice. */
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
  /** Called once the child is being started. What it gives is closed before the child is asked to end. */
  readonly startGateway: () => Promise<{ close(): Promise<void> }>;
  /** How long the gateway may finish what was asked of it, in ms. */
  readonly drainMs: number;
  /** How long the child may take to end, in ms. */
  readonly graceMs: number;
  readonly forwardHangup: boolean;
  readonly log: Logger;
  /** Where signals come from. Default: this process. */
  readonly source?: NonNullable<SignalOptions['source']>;
}

/**
 * Runs the child and the gateway until one is asked to stop or the child has ended for good. The gateway always goes
 * first, since what it still has to answer may need the child. A second signal to stop does not wait for the gateway
 * any more, a third one kills the child. Resolves with the child's exit code (128 + n for signal n) within `drainMs` +
 * `graceMs` + 5 s of the first signal. Rejects, with no child left, when the gateway cannot start.
 */
export async function supervise(options: SuperviseOptions): Promise<number> {
  const child = new ChildSupervisor(options);
  const stop = new StopRequests(() => child.kill());
  const forward = (signal: NodeJS.Signals) => child.signal(signal);
  const unlisten = listenForSignals({ stop: (signal) => stop.add(signal), forward }, options);
  // Whatever ends this process, an error that nobody caught included, must not leave the child behind.
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
    options.log.info(signal === undefined ? {} : { signal }, signal ? 'asked to stop' : 'the child is gone');
    await drain(gateway, signal === undefined ? stop.first : stop.second, options);
    return await child.stop(signal ?? 'SIGTERM');
  } finally {
    process.off('exit', onExit);
    unlisten();
  }
}

/** Closes the gateway, also one that is just starting, unless that takes too long or somebody is impatient. */
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

/** Signals to stop, as often as they come. */
class StopRequests {
  /** The first of them. */
  signal: NodeJS.Signals | undefined;
  readonly first: Promise<void>;
  readonly second: Promise<void>;
  readonly #steps: (() => void)[] = [];
  readonly #others: () => void;

  constructor(others: () => void) {
    this.first = new Promise((resolve) => this.#steps.push(resolve));
    this.second = new Promise((resolve) => this.#steps.push(resolve));
    this.#others = others;
  }

  add(signal: NodeJS.Signals): void {
    this.signal ??= signal;
    const step = this.#steps.shift() ?? this.#others;
    step();
  }
}
