/**
 * Whether files of a mount are read with O_DIRECT. FUSE content should be: for a buffered reader the kernel fills what a
 * short answer left out with zeros, and hung buffered reads fill FUSE's background queue, which stalls the whole mount.
 *
 * Some daemons hand the flag on to a filesystem that refuses it, at open or at read, where lengths are not aligned (EINVAL).
 * Such a file is read through the page cache; a daemon that has done so for several files and taken it for none is believed
 * to do so for all, until it is mounted again.
 */
import { LRUCache } from 'lru-cache';
import { SourceLimits } from './limits.ts';

/** Files that must have been refused, with none taken, before new ones are not tried any more. */
const enough = 3;

export class DirectPolicy {
  readonly #possible: () => boolean;
  readonly #refused = new LRUCache<string, true>({ max: SourceLimits.opinions });
  #taken = 0;

  /** @param possible false while the source is no FUSE filesystem: there the page cache is right. */
  constructor(possible: () => boolean) {
    this.#possible = possible;
  }

  for(path: string): boolean {
    if (!this.#possible() || this.#refused.has(path)) return false;
    return this.#taken > 0 || this.#refused.size < enough;
  }

  /** A direct read of a file has brought bytes. */
  take(): void {
    this.#taken += 1;
  }

  refuse(path: string): void {
    this.#refused.set(path, true);
  }

  /** Another mount may be another daemon. */
  clear(): void {
    this.#refused.clear();
    this.#taken = 0;
  }
}
