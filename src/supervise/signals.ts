/** What this process does on each signal while it supervises a child. */
import type { Logger } from '../log/index.ts';

export interface SignalActions {
  /** Called for each signal that asks this process to stop. */
  stop(signal: NodeJS.Signals): void;
  /** Forwards a signal to the child. Returns whether a child was running. */
  forward(signal: NodeJS.Signals): boolean;
}

export interface SignalOptions {
  /**
   * Whether SIGHUP is forwarded to the child. It asks this process to reload the configuration. It ends a program that
   * does not handle it, for example Decypharr.
   */
  readonly forwardHangup: boolean;
  readonly log: Logger;
  /** Default: this process. */
  readonly source?: Pick<NodeJS.EventEmitter, 'on' | 'off'>;
}

export const stopSignals = ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const;
/** Forwarded to the child; this process does not use them. */
const childSignals = ['SIGUSR1', 'SIGUSR2'] as const;
export const handledSignals = [...stopSignals, ...childSignals, 'SIGHUP'] as const;

/** Returns a function that stops listening. */
export function listenForSignals(
  actions: SignalActions,
  { forwardHangup, log, source = process }: SignalOptions,
): () => void {
  const listeners = new Map<NodeJS.Signals, () => void>();
  const forward = (signal: NodeJS.Signals) => {
    const delivered = actions.forward(signal);
    log.info({ signal }, delivered ? 'signal forwarded to the child' : 'signal dropped: no child is running');
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
