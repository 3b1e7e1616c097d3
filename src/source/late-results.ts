/**
 * What slow reads brought home, kept a while in bounded memory. A client that was told to come again asks for the same bytes
 * some seconds later; the first answer serves it, so that even a file that is slower than a client's patience is read.
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

  /** Keeps bytes that nobody else will change. */
  keep(path: string, position: number, length: number, bytes: Buffer): void {
    this.#kept.set(keyOf(path, position, length), bytes);
  }

  get(path: string, position: number, length: number): Buffer | undefined {
    if (this.#kept.size === 0) return undefined;
    return this.#kept.get(keyOf(path, position, length));
  }

  /** Its content may have changed. */
  forget(path: string): void {
    for (const key of this.#kept.keys()) if (key.endsWith(` ${path}`)) this.#kept.delete(key);
  }

  clear(): void {
    this.#kept.clear();
  }
}
