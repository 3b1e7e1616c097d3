import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { createLogger } from '../log/index.ts';
import { listenForSignals } from './signals.ts';

function listen(forwardHangup = false) {
  const source = new EventEmitter();
  const seen: string[] = [];
  const actions = {
    stop: (signal: string) => void seen.push(`stop ${signal}`),
    forward: (signal: string) => seen.push(`forward ${signal}`) > 0,
  };
  const unlisten = listenForSignals(actions, { forwardHangup, log: createLogger('silent'), source });
  return { source, seen, unlisten };
}

describe('listenForSignals', () => {
  it('tells what ends this process from what is the child’s', () => {
    const { source, seen } = listen();
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2', 'SIGHUP'])
      source.emit(signal);
    expect(seen).toEqual([
      'stop SIGTERM',
      'stop SIGINT',
      'stop SIGQUIT',
      'forward SIGUSR1',
      'forward SIGUSR2',
    ]);
  });

  it('hands SIGHUP on when told to', () => {
    const { source, seen } = listen(true);
    source.emit('SIGHUP');
    expect(seen).toEqual(['forward SIGHUP']);
  });

  it('leaves nothing behind', () => {
    const { source, unlisten } = listen();
    unlisten();
    expect(source.eventNames()).toEqual([]);
  });
});
