import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { SourceLimits } from './limits.ts';
import { Opinions } from './opinions.ts';

let asked: string[];
let opinions: Opinions;
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
  asked = [];
  opinions = new Opinions((path) => {
    asked.push(path);
    return Promise.resolve(true);
  });
});
afterEach(() => void vi.useRealTimers());

it('asks the entries of a listing, but not the object in question', async () => {
  expect(await opinions.about('/all/a')).toBe('none');
  opinions.noteListing('/all', ['a', 'b']);
  expect(await opinions.about('/all/a')).toBe('well');
  expect(asked).toEqual(['/all/b']);
});

it('asks them for as long as the listing stays the same', async () => {
  opinions.noteListing('/all', ['a', 'b']);
  for (let round = 0; round < 3; round++) {
    vi.advanceTimersByTime(SourceLimits.opinionAge - 1);
    opinions.noteUnchanged('/all');
  }
  expect(await opinions.about('/all/a')).toBe('well');
  vi.advanceTimersByTime(SourceLimits.opinionAge + 1);
  expect(await opinions.about('/all/a')).toBe('none');
});

it('asks the entries of the latest listing', async () => {
  opinions.noteListing('/all', ['a', 'gone']);
  opinions.noteListing('/all', ['a', 'b']);
  vi.advanceTimersByTime(SourceLimits.opinionAge - 1);
  opinions.noteUnchanged('/all');
  vi.advanceTimersByTime(2);
  await opinions.about('/all/a');
  expect(asked).toEqual(['/all/b']);
});
