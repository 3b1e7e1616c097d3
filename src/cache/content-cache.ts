/** The view of one export on the shared cache: creates its cached files and reads ahead for them. */
import type { BlockCache } from './block-cache.ts';
import { CacheCounts, CachedFile, type FileSurroundings } from './cached-file.ts';
import type { ReadAheadSettings } from './limits.ts';
import { ReadAhead } from './read-ahead.ts';
import type { ByteSource } from './source.ts';

export interface ContentCacheOptions {
  readonly blocks: BlockCache;
  readonly source: { file(path: string): ByteSource };
  /** Overrides the defaults, which depend on the source. */
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

  /** A new, empty cached file for a path. Each tree node keeps its own. */
  file(path: string): CachedFile {
    return new CachedFile(this, path);
  }

  close(): void {
    this.#isClosed = true;
    this.blocks.dropAll(this);
  }
}
