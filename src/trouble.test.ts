import { expect, it } from 'vitest';
import { createLogger } from './log/index.ts';
import { Quarantine, type Aspect, type QuarantineEvent } from './source/quarantine.ts';
import { Waiters } from './tree/waiters.ts';
import { Trouble } from './trouble.ts';

/** The part of a source that reports trouble. */
class TroubledSource {
  readonly #listeners: ((event: QuarantineEvent) => void)[] = [];
  readonly cases = new Quarantine((event) => this.#listeners.forEach((listener) => listener(event)));
  onState = () => () => undefined;
  onTrouble(listener: (event: QuarantineEvent) => void) {
    this.#listeners.push(listener);
    return () => undefined;
  }
  get quarantined() {
    return this.cases.size;
  }
  quarantine(most: number) {
    return this.cases.latest(most);
  }
  retry(aspect: Aspect, path: string) {
    return this.cases.retry(aspect, path) > 0;
  }
}

it('reports which path hangs and which clients wait for it, in the log and on the status page', () => {
  const lines: Record<string, unknown>[] = [];
  const write = (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>);
  const source = new TroubledSource();
  const waiters = new Waiters();
  const trouble = new Trouble('dfs', source, { waiters }, createLogger('info', { destination: { write } }));
  const path = '/__all__/r/a\nb.mkv';
  const waiting = [1, 2, 2].map((host) => ({
    since: performance.now() - 60_000,
    node: { path },
    name: undefined,
    client: `10.0.0.${host}`,
  }));
  for (const one of waiting) waiters.add(one);
  const clients = ['10.0.0.1', '10.0.0.2'];
  const shown = '/__all__/r/a\\x0ab.mkv';
  expect(trouble.waits).toEqual([{ path: shown, requests: 3, clients, seconds: 60 }]);

  source.cases.admit('content', path).failed('timeout');
  for (const one of waiting) waiters.delete(one);
  expect(trouble.waits).toEqual([]);
  expect(lines.pop()).toMatchObject({ export: 'dfs', path: shown, aspect: 'content', waiting: 3, clients });
  expect(trouble.quarantine).toEqual([
    { path: shown, aspect: 'content', strikes: 1, retrySeconds: 30, clients },
  ]);

  expect(() => source.cases.admit('content', path)).toThrow();
  expect([trouble.retry(shown, 'listing'), trouble.retry('/other', 'content')]).toEqual([false, false]);
  expect(trouble.retry(shown, 'content')).toBe(true);
  source.cases.admit('content', path).withdraw();

  source.cases.permit('content', path).answered();
  expect(lines.pop()).toMatchObject({ path: shown, msg: 'answers again: out of quarantine' });
  expect(trouble.quarantine).toEqual([]);
});
