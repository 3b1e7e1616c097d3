/** The part of one export in the cache: its files, and who reads ahead in them. */
import type { BlockCache } from './block-cache.ts';
import { CacheCounts, CachedFile, type FileSurroundings } from './cached-file.ts';
import type { ReadAheadSettings } from './limits.ts';
import { ReadAhead } from './read-ahead.ts';
import type { ByteSource } from './source.ts';

export interface ContentCacheOptions {
  readonly blocks: BlockCache;
  readonly source: { file(path: string): ByteSource };
  /** In place of what suits the source. */
  readonly readAhead?: ReadAheadSettings | undefined;
}

export class ContentCache implements FileSurroundings {
  readonly blocks: BlockCache;
  readonly ahead: ReadAhead;
  readonly counts = new CacheCounts();
  readonly #source: ContentCacheOptions['source'];
  #isClosed = false;

  constructor({ blocks, source, readAhead }: ContentCacheOptions) {
    this.blocks = blocks;
    this.#source = source;
    this.ahead = new ReadAhead(readAhead, () => blocks.limit);
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  source(path: string): ByteSource {
    return this.#source.file(path);
  }

  /** The file at a path, of which nothing is known yet. One object of the tree keeps one of these. */
  file(path: string): CachedFile {
    return new CachedFile(this, path);
  }

  close(): void {
    this.#isClosed = true;
    this.blocks.dropAll(this);
  }
}
