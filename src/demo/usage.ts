import { posix } from 'node:path';
import type { DescriptorCounts } from './fuse-protocol.ts';

type Counts = { -readonly [Key in keyof DescriptorCounts]: DescriptorCounts[Key] };

/** The path and all its parents: `/a/b`, `/a`, `/`. */
function scopes(path: string): string[] {
  return path === '/' ? ['/'] : [path, ...scopes(posix.dirname(path))];
}

/** Counts descriptors for each file and, summed up, for each folder above it. */
export class Usage {
  readonly #counts = new Map<string, Counts>();

  opened(path: string): void {
    for (const scope of scopes(path)) {
      const counts = this.#of(scope);
      counts.opens++;
      counts.openNow++;
      counts.openMost = Math.max(counts.openMost, counts.openNow);
    }
  }

  closed(path: string): void {
    for (const scope of scopes(path)) {
      const counts = this.#of(scope);
      counts.closes++;
      counts.openNow--;
    }
  }

  counts(path: string): DescriptorCounts {
    return { ...this.#of(path) };
  }

  /** Resets the counters. Descriptors that are open stay counted as open. */
  reset(): void {
    for (const [path, { openNow }] of this.#counts)
      this.#counts.set(path, { opens: 0, closes: 0, openNow, openMost: openNow });
  }

  #of(path: string): Counts {
    let counts = this.#counts.get(path);
    if (!counts) {
      counts = { opens: 0, closes: 0, openNow: 0, openMost: 0 };
      this.#counts.set(path, counts);
    }
    return counts;
  }
}
