import { expect, it } from 'vitest';
import { Departure } from './departure.ts';
import { defaultLeave } from './fuse-protocol.ts';

it('answers reads in turns', () => {
  const departure = new Departure(defaultLeave);
  expect([1, 2, 3, 4].map(() => departure.next(4096))).toEqual([undefined, 2048, 0, undefined]);
  expect(() => new Departure({ ...defaultLeave, answers: [] })).toThrow();
});
