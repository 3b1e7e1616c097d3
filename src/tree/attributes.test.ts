import { describe, expect, it } from 'vitest';
import type { RawAttributes } from '../source/source.ts';
import { ObservedTimes, normalise } from './attributes.ts';

const creation = { seconds: 1_000_000_000, nanoseconds: 0 };
const start = 1_700_000_000_000;
const minute = 60_000;

const raw = (changes: Partial<RawAttributes>): RawAttributes => ({
  kind: 'file',
  mode: 0o644,
  links: 0,
  uid: 0,
  gid: 0,
  size: 1000,
  used: 1024,
  rdev: 0,
  mtimeMs: start - 86_400_000,
  ctimeMs: start,
  atimeMs: start,
  ...changes,
});

const unlisted = { digest: 0, changedAt: undefined };
const seen = (look: RawAttributes, times: ObservedTimes) =>
  normalise(look, times, creation, unlisted, 'auto');

describe('times of a file', () => {
  it('are those of the source when they cannot be the clock’s', () => {
    const look = raw({});
    const times = new ObservedTimes(look, creation, start, 'auto');
    expect(seen(look, times).mtime).toEqual({ seconds: start / 1000 - 86_400, nanoseconds: 0 });
  });

  it('stay where they are while the source reports the clock', () => {
    const times = new ObservedTimes(raw({}), creation, start, 'auto');
    const first = seen(raw({}), times);
    for (let t = 1_000; t < 20 * minute; t += 7_000) {
      // A kernel hands out what it cached for up to 30 s.
      const now = start + t;
      const look = raw({ mtimeMs: now - (t % 30_000), ctimeMs: now });
      expect(times.observe(look, now)).toBe(false);
      expect(seen(look, times)).toEqual(first);
    }
  });

  it('are the same in every process when only the clock was ever reported', () => {
    const one = new ObservedTimes(raw({ mtimeMs: start }), creation, start, 'auto');
    const later = start + 3 * minute;
    const two = new ObservedTimes(raw({ mtimeMs: later }), creation, later, 'auto');
    expect(seen(raw({}), one)).toEqual(seen(raw({}), two));
    expect(one.mtime).toEqual(creation);
  });

  it('move when the size does', () => {
    const times = new ObservedTimes(raw({}), creation, start, 'auto');
    const before = seen(raw({}), times);
    const look = raw({ size: 1001, mtimeMs: start + 5_000 });
    expect(times.observe(look, start + 5_000)).toBe(true);
    const after = seen(look, times);
    expect(after.mtime.seconds).toBe(start / 1000 + 5);
    expect(after.ctime).not.toEqual(before.ctime);
  });

  it('move to a new time that stays put, once that is sure', () => {
    const times = new ObservedTimes(raw({}), creation, start, 'auto');
    const touched = start + 10_000;
    const look = raw({ mtimeMs: touched });
    expect(times.observe(look, touched + 1_000)).toBe(false);
    expect(times.mtime.seconds).toBe(start / 1000 - 86_400);
    expect(times.observe(look, touched + 2 * minute)).toBe(true);
    expect(times.mtime.seconds).toBe(touched / 1000);
  });

  it('move at once to a time from before we looked', () => {
    const times = new ObservedTimes(raw({}), creation, start, 'auto');
    expect(times.observe(raw({ mtimeMs: start - 2 * 86_400_000 }), start + 1_000)).toBe(true);
  });

  it('have a change attribute that tells a change nobody saw', () => {
    const small = new ObservedTimes(raw({ size: 1 }), creation, start, 'auto');
    const large = new ObservedTimes(raw({ size: 2 }), creation, start, 'auto');
    expect(small.ctime).not.toEqual(large.ctime);
    expect(small.ctime.nanoseconds).toBeLessThan(1e9);
  });
});

describe('normalise', () => {
  it('never reports fewer links than 1, or 2 for a directory', () => {
    const file = raw({ links: 0 });
    const directory = raw({ links: 0, kind: 'directory' });
    expect(seen(file, new ObservedTimes(file, creation, start, 'auto')).links).toBe(1);
    expect(seen(directory, new ObservedTimes(directory, creation, start, 'auto')).links).toBe(2);
  });

  it('lets a directory’s times follow its listing alone', () => {
    const look = raw({ kind: 'directory', mtimeMs: start });
    const times = new ObservedTimes(look, creation, start, 'auto');
    const at = (listing: { digest: number; changedAt: number | undefined }) =>
      normalise(look, times, creation, listing, 'auto');
    expect(at({ digest: 7, changedAt: undefined }).mtime).toEqual({
      seconds: creation.seconds,
      nanoseconds: 7,
    });
    times.observe(raw({ kind: 'directory', mtimeMs: start + 90_000 }), start + 90_000);
    expect(at({ digest: 7, changedAt: undefined }).ctime).toEqual({
      seconds: creation.seconds,
      nanoseconds: 7,
    });
    const changed = at({ digest: 8, changedAt: start + 100_000 });
    expect(changed.ctime).toEqual({ seconds: start / 1000 + 100, nanoseconds: 8 });
    expect(changed.mtime).toEqual(changed.ctime);
  });
});
