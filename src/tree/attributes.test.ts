import { describe, expect, it } from 'vitest';
import type { RawAttributes, Time } from '../source/raw.ts';
import { ObservedTimes, ctimeStamp, normalise, type ListingTimes } from './attributes.ts';

const start = 1_700_000_000_000;
const minute = 60_000;
const day = 86_400_000;
const time = (ms: number): Time => ({ seconds: Math.floor(ms / 1000), nanoseconds: (ms % 1000) * 1e6 });

const raw = (changes: Partial<RawAttributes> & { mtimeMs?: number } = {}): RawAttributes => {
  const { mtimeMs = start - day, ...rest } = changes;
  const times = { mtime: time(mtimeMs), ctime: time(start), atime: time(start), birth: undefined };
  const numbers = { mode: 0o644, links: 0, uid: 0, gid: 0, size: 1000, used: 1024, rdev: 0 };
  return { kind: 'file', ...numbers, ...times, ...rest };
};

const unlisted: ListingTimes = { digest: 0, changedAt: undefined, newest: undefined, oldest: undefined };
const seen = (look: RawAttributes, times: ObservedTimes, listing = unlisted) =>
  normalise(look, times, listing, 'auto');

describe('times of a file', () => {
  it('are shown as the source reports them, even in the first second', () => {
    for (const mtimeMs of [start - 5 * 365 * day, start - 10, start]) {
      const look = raw({ mtimeMs });
      const { mtime, creation } = seen(look, new ObservedTimes(look, start, 'auto'));
      expect(mtime).toEqual(time(mtimeMs));
      expect(creation).toEqual(time(mtimeMs));
    }
  });

  it('stay the same while the source reports "now", whatever they were at first', () => {
    for (const first of [start - day, start]) {
      const look = raw({ mtimeMs: first });
      const times = new ObservedTimes(look, start, 'auto');
      const before = seen(look, times);
      for (let t = 1_000; t < 20 * minute; t += 7_000) {
        // The kernel may return a cached time for up to 30 s.
        const now = start + t;
        const later = raw({ mtimeMs: now - (t % 30_000), ctime: time(now) });
        expect(times.observe(later, now)).toBe(false);
        expect(seen(later, times)).toEqual(before);
      }
      expect(times.followsClock).toBe(true);
    }
  });

  it('tell of a file that was replaced by one of the same size and time, by its ctime', () => {
    const old = raw();
    const times = new ObservedTimes(old, start, 'auto');
    const before = seen(old, times);
    const replaced = raw({ ctime: time(start + 5_000) });
    expect(times.observe(replaced, start + 6_000, true)).toBe(true);
    const after = seen(replaced, times);
    expect(after.mtime).toEqual(before.mtime);
    expect(after.ctime).not.toEqual(before.ctime);
    expect(times.observe(replaced, start + 7_000, false)).toBe(false);
  });

  it('tell so no longer when the ctime moves at every look, until it stays put', () => {
    const times = new ObservedTimes(raw(), start, 'auto');
    const look = (at: number, moved: boolean) => times.observe(raw({ ctime: time(at) }), at, moved);
    expect([1, 2, 3, 4, 90].map((s) => look(start + s * 1_000, true))).toEqual([
      true,
      true,
      false,
      false,
      false,
    ]);
    expect(look(start + 90_500, false)).toBe(false);
    expect(look(start + 92_000, false)).toBe(true);
    expect(look(start + 93_000, false)).toBe(false);
    expect(look(start + 94_000, true)).toBe(true);
  });

  it('count the ctime for nothing where it is the mtime', () => {
    for (const ms of [start - day, start, start + 1])
      expect(ctimeStamp(raw({ mtimeMs: ms, ctime: time(ms + 1) }))).toBe(0);
    expect(ctimeStamp(raw())).not.toBe(0);
    expect(ctimeStamp(raw({ kind: 'directory' }))).toBe(0);
  });

  it('in the future are shown only once they stay the same', () => {
    const future = start + 400 * day;
    const look = raw({ mtimeMs: future, ctime: time(start - day) });
    const times = new ObservedTimes(look, start, 'auto');
    expect(times.mtime).toEqual(time(start - day));
    times.observe(look, start + 1_000);
    expect(times.mtime).toEqual(time(start - day));
    expect(times.observe(look, start + 3_000)).toBe(true);
    expect(times.mtime).toEqual(time(future));
  });

  it('change when the size does', () => {
    const times = new ObservedTimes(raw(), start, 'auto');
    const before = seen(raw(), times);
    const look = raw({ size: 1001, mtimeMs: start + 5_000 });
    expect(times.observe(look, start + 5_000)).toBe(true);
    const after = seen(look, times);
    expect(after.mtime.seconds).toBe(start / 1000 + 5);
    expect(after.ctime).not.toEqual(before.ctime);
    expect(after.creation).toEqual(before.creation);
  });

  it('change to a new time once it has stayed the same for long enough', () => {
    const times = new ObservedTimes(raw(), start, 'auto');
    const touched = start + 10_000;
    const look = raw({ mtimeMs: touched });
    expect(times.observe(look, touched + 1_000)).toBe(false);
    expect(times.mtime).toEqual(time(start - day));
    expect(times.observe(look, touched + 2 * minute)).toBe(true);
    expect(times.mtime).toEqual(time(touched));
  });

  it('change at once to a time from before the first look', () => {
    const times = new ObservedTimes(raw({ mtimeMs: start }), start, 'auto');
    expect(times.observe(raw({ mtimeMs: start - 2 * day }), start + 1_000)).toBe(true);
    expect(times.mtime).toEqual(time(start - 2 * day));
  });

  it('have a change attribute that shows a change made between looks', () => {
    const small = new ObservedTimes(raw({ size: 1 }), start, 'auto');
    const large = new ObservedTimes(raw({ size: 2 }), start, 'auto');
    expect(small.ctime).not.toEqual(large.ctime);
    expect(small.ctime.nanoseconds).toBeLessThan(1e9);
  });

  it('show that a file was replaced by one of the same size and mtime, with policy `source`', () => {
    const times = new ObservedTimes(raw(), start, 'source');
    expect(times.observe(raw(), start + 1_000)).toBe(false);
    expect(times.observe(raw({ ctime: time(start + 2_000) }), start + 3_000)).toBe(true);
  });

  it('have a constant creation time: the birth time, else the first time shown', () => {
    const birth = time(start - 9 * day);
    expect(new ObservedTimes(raw({ birth }), start, 'auto').creation).toEqual(birth);
    const times = new ObservedTimes(raw(), start, 'auto');
    times.observe(raw({ size: 7, mtimeMs: start + 1_000 }), start + 1_000);
    expect(times.creation).toEqual(time(start - day));
    const after = new ObservedTimes(raw({ size: 7, mtimeMs: start + 1_000 }), start + day, 'auto');
    after.resume(times.saved);
    expect([after.creation, after.mtime]).toEqual([times.creation, times.mtime]);
  });
});

describe('times of a directory', () => {
  const directory = (mtimeMs: number) => raw({ kind: 'directory', mtimeMs });

  it('change only with its listing', () => {
    const look = directory(start - day);
    const times = new ObservedTimes(look, start, 'auto');
    const at = (listing: Partial<ListingTimes>) => seen(look, times, { ...unlisted, ...listing });
    const before = { seconds: (start - day) / 1000, nanoseconds: 7 };
    expect(at({ digest: 7 })).toMatchObject({ mtime: before, ctime: before });
    const changed = at({ digest: 8, changedAt: start + 100_000 });
    expect(changed.ctime).toEqual({ seconds: start / 1000 + 100, nanoseconds: 8 });
    expect(changed.mtime).toEqual(changed.ctime);
  });

  it('are those of its entries if its own follow the clock', () => {
    const times = new ObservedTimes(directory(start), start, 'auto');
    for (const t of [2_000, 4_000]) times.observe(directory(start + t), start + t);
    expect(times.followsClock).toBe(true);
    const [newest, oldest] = [time(start - day), time(start - 30 * day)];
    const listing = { digest: 7, changedAt: start, newest, oldest };
    expect(seen(directory(start), times, listing)).toMatchObject({
      mtime: { seconds: newest.seconds, nanoseconds: 7 },
      creation: oldest,
    });
  });

  it('are presumed to follow the clock if they are "now", until they stay the same', () => {
    const look = directory(start - 500);
    const times = new ObservedTimes(look, start, 'auto');
    const newest = time(start - day);
    const listing = { digest: 7, changedAt: undefined, newest, oldest: newest };
    expect(seen(look, times, listing).mtime.seconds).toBe(newest.seconds);
    times.observe(look, start + 2_000);
    expect(seen(look, times, listing).mtime.seconds).toBe(Math.floor((start - 500) / 1000));
  });

  it('do not count as following the clock if they change with its listing', () => {
    const times = new ObservedTimes(directory(start), start, 'auto');
    for (let t = 2_000; t < 20_000; t += 2_000) {
      times.observe(directory(start + t), start + t);
      times.observe(directory(start + t), start + t + 1_600);
      times.listingChanged();
    }
    expect(times.followsClock).toBe(false);
  });
});

it('never reports fewer links than 1, or 2 for a directory', () => {
  const look = raw({ links: 0 });
  const folder = raw({ links: 0, kind: 'directory' });
  expect(seen(look, new ObservedTimes(look, start, 'auto')).links).toBe(1);
  expect(seen(folder, new ObservedTimes(folder, start, 'auto')).links).toBe(2);
});
