import { describe, expect, it } from 'vitest';
import { Waiters, type Waiter } from './waiters.ts';

const at = (path: string) => ({ path });
const waiter = (node: { path: string } | undefined, client: string, ago: number, name?: string): Waiter => ({
  since: performance.now() - ago,
  node,
  name,
  client,
});

describe('Waiters', () => {
  it('groups waiting requests by path, for known objects and for lookups', () => {
    const waiters = new Waiters();
    const all = [
      waiter(at('/a/b'), '10.0.0.1', 9_000),
      waiter(at('/a'), '10.0.0.2', 5_000, 'b'),
      waiter(at('/a'), '10.0.0.1', 1_000),
      waiter(at('/a/b'), '10.0.0.1', 500),
      waiter(undefined, '10.0.0.9', 60_000),
    ];
    for (const one of all) waiters.add(one);
    expect(waiters.for('/a/b')).toMatchObject({ requests: 3, clients: ['10.0.0.1', '10.0.0.2'] });
    expect(waiters.for('/a/b')!.ms).toBeGreaterThanOrEqual(9_000);
    expect(waiters.for('/x')).toBeUndefined();
    expect(waiters.longest(800, 10).map(({ path, requests }) => [path, requests])).toEqual([
      ['/a/b', 2],
      ['/a', 1],
    ]);
    expect(waiters.longest(0, 1)).toHaveLength(1);
    for (const one of all) waiters.delete(one);
    expect(waiters.longest(0, 10)).toEqual([]);
  });

  it('lists a limited number of clients', () => {
    const waiters = new Waiters();
    for (let i = 0; i < 40; i++) waiters.add(waiter(at('/a'), `10.0.0.${i}`, 1));
    expect(waiters.for('/a')).toMatchObject({ requests: 40 });
    expect(waiters.for('/a')!.clients).toHaveLength(16);
  });
});
