/** What each signal to this process means while it supervises a child. */
import type { Logger } from '../log/index.ts';

export interface SignalActions {
  /** Each signal that asks this process to end. */
  stop(signal: NodeJS.Signals): void;
  /** Hands a signal on to the child. Returns whether there was one to have it. */
  forward(signal: NodeJS.Signals): boolean;
}

export interface SignalOptions {
  /**
   * Whether the child gets SIGHUP as well. It is a request to read the configuration anew, and ends a program that knows
   * nothing of it, Decypharr among them.
   */
  readonly forwardHangup: boolean;
  readonly log: Logger;
  /** Default: this process. */
  readonly source?: Pick<NodeJS.EventEmitter, 'on' | 'off'>;
}

export const stopSignals = ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const;
/** Handed on as they are: this process has no use for them. */
const childSignals = ['SIGUSR1', 'SIGUSR2'] as const;
/** All that is listened to. */
export const handledSignals = [...stopSignals, ...childSignals, 'SIGHUP'] as const;

/** Listens until the function that it returns is called. */
export function listenForSignals(
  actions: SignalActions,
  { forwardHangup, log, source = process }: SignalOptions,
): () => void {
  const listeners = new Map<NodeJS.Signals, () => void>();
  const forward = (signal: NodeJS.Signals) => {
    const delivered = actions.forward(signal);
    log.info({ signal }, delivered ? 'signal handed to the child' : 'signal dropped: no child is running');
  };
  for (const signal of stopSignals) listeners.set(signal, () => actions.stop(signal));
  for (const signal of childSignals) listeners.set(signal, () => forward(signal));
  listeners.set('SIGHUP', () => {
    if (forwardHangup) forward('SIGHUP');
    else log.info({ signal: 'SIGHUP' }, 'signal kept from the child');
  });
  for (const [signal, listener] of listeners) source.on(signal, listener);
  return () => {
    for (const [signal, listener] of listeners) source.off(signal, listener);
  };
}
