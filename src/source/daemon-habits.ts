/**
 * How the daemon of a mount has been seen to answer reads, as long as it is mounted.
 *
 * FUSE content should be read with O_DIRECT: for a buffered reader the kernel fills what a short answer left out with zeros,
 * and hung buffered reads fill FUSE's background queue, which stalls the whole mount. But some daemons hand the flag on to a
 * filesystem that refuses it, at open, or at a read whose length is not aligned (EINVAL). Such files are read through the
 * page cache. And some answer in pieces: less than was asked for, in the middle of a file, always.
 *
 * What several files of a daemon have shown, and none has shown otherwise, is believed of all its files.
 */
import { LRUCache } from 'lru-cache';
import { SourceLimits } from './limits.ts';

/** Files that must have shown a habit before it is believed of others. */
const enough = 3;

export class DaemonHabits {
  readonly #isFuse: () => boolean;
  readonly #refusesDirect = new LRUCache<string, true>({ max: SourceLimits.opinions });
  readonly #inPieces = new LRUCache<string, true>({ max: SourceLimits.opinions });
  #takesDirect = false;

  /** @param isFuse whether the source is a FUSE filesystem now: elsewhere the page cache is right. */
  constructor(isFuse: () => boolean) {
    this.#isFuse = isFuse;
  }

  /** Whether to open a file with O_DIRECT. */
  readsDirect(path: string): boolean {
    if (!this.#isFuse() || this.#refusesDirect.has(path)) return false;
    return this.#takesDirect || this.#refusesDirect.size < enough;
  }

  /** Whether short answers of a file are followed by the rest. */
  answersInPieces(path: string): boolean {
    return this.#inPieces.has(path) || this.#inPieces.size >= enough;
  }

  /** A direct read has brought bytes. */
  tookDirect(): void {
    this.#takesDirect = true;
  }

  refusedDirect(path: string): void {
    this.#refusesDirect.set(path, true);
  }

  /** It was confirmed that a short answer was no sign of trouble. */
  answeredInPieces(path: string): void {
    this.#inPieces.set(path, true);
  }

  /** Another mount may be another daemon. */
  clear(): void {
    this.#refusesDirect.clear();
    this.#inPieces.clear();
    this.#takesDirect = false;
  }
}
