/**
 * Remembers how the daemon of a mount answers reads. Cleared at a remount.
 *
 * FUSE content should be read with O_DIRECT. For a buffered read the kernel replaces the missing bytes of a short answer by
 * zeros, and hung buffered reads fill FUSE's background queue, which stalls the whole mount. But some daemons pass O_DIRECT
 * on to a file system that refuses it with EINVAL, at open or at an unaligned read. Such files are read through the page
 * cache. Other daemons always answer in pieces: with fewer bytes than asked for, even in the middle of a file.
 *
 * A habit of several files is assumed for all files of the mount; a refusal of O_DIRECT only if no file has accepted it.
 */
import { LRUCache } from 'lru-cache';
import { SourceLimits } from './limits.ts';

/** Number of files that must show a habit before it is assumed for all. */
const enough = 3;

export class DaemonHabits {
  readonly #isFuse: () => boolean;
  readonly #refusesDirect = new LRUCache<string, true>({ max: SourceLimits.opinions });
  readonly #inPieces = new LRUCache<string, true>({ max: SourceLimits.opinions });
  #takesDirect = false;

  /** @param isFuse whether the source is a FUSE file system now. Others are read through the page cache. */
  constructor(isFuse: () => boolean) {
    this.#isFuse = isFuse;
  }

  /** Whether to open a file with O_DIRECT. */
  readsDirect(path: string): boolean {
    if (!this.#isFuse() || this.#refusesDirect.has(path)) return false;
    return this.#takesDirect || this.#refusesDirect.size < enough;
  }

  /** Whether the rest of a short answer is to be requested with further reads. */
  answersInPieces(path: string): boolean {
    return this.#inPieces.has(path) || this.#inPieces.size >= enough;
  }

  /** A read with O_DIRECT has returned bytes. */
  tookDirect(): void {
    this.#takesDirect = true;
  }

  refusedDirect(path: string): void {
    this.#refusesDirect.set(path, true);
  }

  /** A short answer was confirmed as harmless: the daemon answers in pieces. */
  answeredInPieces(path: string): void {
    this.#inPieces.set(path, true);
  }

  /** Called at a remount: the daemon may be a different one. */
  clear(): void {
    this.#refusesDirect.clear();
    this.#inPieces.clear();
    this.#takesDirect = false;
  }
}
