/**
 * Keeps the results of slow reads for a while, in bounded memory. A client that got JUKEBOX or RETRY repeats the read some
 * seconds later and then gets the kept result. So a file can be read even if it is slower than the client's timeout.
 */
import { LRUCache } from 'lru-cache';
import { SourceLimits } from './limits.ts';

const keyOf = (path: string, position: number, length: number) => `${position} ${length} ${path}`;

export class LateResults {
  readonly #kept = new LRUCache<string, Buffer>({
    maxSize: SourceLimits.lateBytes,
    sizeCalculation: (bytes) => Math.max(1, bytes.length),
    ttl: SourceLimits.lateAge,
    perf: { now: () => performance.now() },
  });

  /** Keeps `bytes`, which must not be changed afterwards. */
  keep(path: string, position: number, length: number, bytes: Buffer): void {
    this.#kept.set(keyOf(path, position, length), bytes);
  }

  get(path: string, position: number, length: number): Buffer | undefined {
    if (this.#kept.size === 0) return undefined;
    return this.#kept.get(keyOf(path, position, length));
  }

  /** Drops the results of a path whose content may have changed. */
  forget(path: string): void {
    for (const key of this.#kept.keys()) if (key.endsWith(` ${path}`)) this.#kept.delete(key);
  }

  clear(): void {
    this.#kept.clear();
  }
}
