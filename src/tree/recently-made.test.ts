import { expect, it } from 'vitest';
import { RecentlyMade } from './recently-made.ts';

it('makes the value of a recently used key only once, and keeps a limited number of values', () => {
  const made: object[] = [];
  const recent = new RecentlyMade<object, { of: object }>(4);
  const make = (of: object) => {
    made.push(of);
    return { of };
  };
  const often = {};
  const first = recent.get(often, make);
  for (let i = 0; i < 100; i++) {
    expect(recent.get({}, make).of).toBe(made.at(-1));
    expect(recent.get(often, make)).toBe(first);
  }
  expect(made).toHaveLength(101);
  const seldom = {};
  recent.get(seldom, make);
  for (let i = 0; i < 8; i++) recent.get({}, make);
  recent.get(seldom, make);
  expect(made.filter((of) => of === seldom)).toHaveLength(2);
});
