import { expect, it } from 'vitest';
import { Usage } from './usage.ts';

it('counts descriptors of a file and of all above it', () => {
  const usage = new Usage();
  usage.opened('/a/1');
  usage.opened('/a/1');
  usage.closed('/a/1');
  usage.opened('/b/2');
  expect(usage.counts('/a/1')).toEqual({ opens: 2, closes: 1, openNow: 1, openMost: 2 });
  expect(usage.counts('/a')).toEqual({ opens: 2, closes: 1, openNow: 1, openMost: 2 });
  expect(usage.counts('/')).toEqual({ opens: 3, closes: 1, openNow: 2, openMost: 2 });
  expect(usage.counts('/c')).toEqual({ opens: 0, closes: 0, openNow: 0, openMost: 0 });
  usage.reset();
  expect(usage.counts('/')).toEqual({ opens: 0, closes: 0, openNow: 2, openMost: 2 });
  usage.closed('/b/2');
  expect(usage.counts('/')).toEqual({ opens: 0, closes: 1, openNow: 1, openMost: 2 });
});
