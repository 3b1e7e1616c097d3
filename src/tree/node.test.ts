import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Kind, RawAttributes } from '../source/raw.ts';
import { ctimeStamp, normalise, ObservedTimes, type ListingTimes } from './attributes.ts';
import type { TimesPolicy } from './contract.ts';
import { Identity } from './identity.ts';
import { TreeNode } from './node.ts';

const identity = new Identity('holdfast', 'dfs');
const unlisted: ListingTimes = { digest: 0, changedAt: undefined, newest: undefined, oldest: undefined };

it('shows the same attributes as if it stored all observed times', () => {
  const start = Date.now();
  const time = fc.record({
    seconds: fc.constantFrom(0, 1_700_000_000, Math.floor(start / 1000), Math.floor(start / 1000) + 3600),
    nanoseconds: fc.constantFrom(0, 1, 999_999_999),
  });
  const look = fc.record({
    mode: fc.constantFrom(0o644, 0o755),
    links: fc.constantFrom(0, 1, 2),
    size: fc.constantFrom(0, 1, Number.MAX_SAFE_INTEGER),
    used: fc.constantFrom(0, 512),
    rdev: fc.constantFrom(0, 0x801, 0xffffffff),
    mtime: time,
    ctime: time,
    atime: time,
    birth: fc.option(time, { nil: undefined }),
    after: fc.constantFrom(0, 500, 3_000, 61_000),
  });
  const kinds = fc.constantFrom<Kind>('file', 'directory', 'symlink', 'block', 'unknown');
  const policies = fc.constantFrom<TimesPolicy>('auto', 'source');
  fc.assert(
    fc.property(kinds, policies, fc.array(look, { minLength: 1, maxLength: 6 }), (kind, policy, looks) => {
      const parent = new TreeNode(identity, undefined, '', 'directory');
      const node = new TreeNode(identity, parent, 'name', kind);
      let times: ObservedTimes | undefined;
      let stamp: number | undefined;
      let now = start;
      for (const { after, ...rest } of looks) {
        now += after;
        const raw: RawAttributes = { kind, uid: 0, gid: 0, ...rest };
        const moved = stamp !== undefined && stamp !== ctimeStamp(raw);
        stamp = ctimeStamp(raw);
        const expected = times ? times.observe(raw, now, moved) : false;
        times ??= new ObservedTimes(raw, now, policy);
        expect(node.observe(raw, now, now - start, policy)).toBe(expected);
        expect(node.attributes).toEqual(normalise(raw, times, unlisted, policy));
        expect(node.saved?.times).toEqual(times.saved);
        expect(node.attributesAt).toBe(now - start);
      }
    }),
    { numRuns: 300 },
  );
});
