/** Runs programs beside the gateway, and stops all of them in the order that clients do not notice. */
import type { Logger } from '../log/index.ts';
import { Children, type ChildPlan, type ChildrenOptions } from './children.ts';
import { listenForSignals, type SignalOptions } from './signals.ts';

export type { ChildPlan } from './children.ts';
export { runBelowInit } from './init.ts';
export { restartPolicies, type RestartPolicy } from './policies.ts';
export { outputModes, processSpawner, type OutputMode, type ProcessOptions } from './process.ts';

export interface SuperviseOptions {
  readonly children: readonly ChildPlan[];
  /** Called once the first child has been started. Its result is closed before a child is asked to end. */
  readonly startGateway: () => Promise<{ close(): Promise<void> }>;
  /** Longest time for the gateway to drain, in ms. */
  readonly drainMs: number;
  readonly mountAt?: NonNullable<ChildrenOptions['mountAt']>;
  /** Longest time for all children to end, in ms. */
  readonly graceMs: number;
  readonly forwardHangup: boolean;
  readonly log: Logger;
  /** Where signals come from. Default: this process. */
  readonly source?: NonNullable<SignalOptions['source']>;
}

/**
 * Runs the children and the gateway until this process is asked to stop or no child is left to run. Closes the gateway
 * first, since its outstanding requests may need the children. A second stop signal skips waiting for the gateway, a
 * third one kills the children. Resolves with the exit code of the first child that did not end with 0 (128 + n for
 * signal n) within `drainMs` + `graceMs` + 5 s of the first signal. When the gateway cannot start, ends the children and
 * rejects.
 */
export async function supervise(options: SuperviseOptions): Promise<number> {
  const children = new Children(options);
  const stop = new StopRequests(() => children.kill());
  const forward = (signal: NodeJS.Signals) => children.signal(signal);
  const unlisten = listenForSignals({ stop: (signal) => stop.add(signal), forward }, options);
  // No child may outlive this process, even when an uncaught error ends it.
  const onExit = () => void children.signal('SIGTERM');
  process.on('exit', onExit);
  try {
    const hasBegun = children.begun.then(() => true);
    // A command that cannot be run at all needs no gateway.
    const begun = await Promise.race([hasBegun, children.ended, stop.first]);
    if (begun !== true) {
      tellStop(stop.signal, options.log);
      return await children.stop(stop.signal ?? 'SIGTERM');
    }
    const gateway = options.startGateway();
    const failure = gateway.then(() => new Promise<never>(() => undefined));
    try {
      await Promise.race([stop.first, children.ended, failure]);
    } catch (error) {
      await children.stop('SIGTERM');
      throw error;
    }
    const { signal } = stop;
    tellStop(signal, options.log);
    await drain(gateway, signal === undefined ? stop.first : stop.second, options);
    return await children.stop(signal ?? 'SIGTERM');
  } finally {
    process.off('exit', onExit);
    unlisten();
  }
}

function tellStop(signal: NodeJS.Signals | undefined, log: Logger): void {
  if (signal === undefined) log.info('no child is left');
  else log.info({ signal }, 'asked to stop');
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
