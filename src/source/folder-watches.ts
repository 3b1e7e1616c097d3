/**
 * Folders of which the kernel tells that entries came or went (inotify): where it does, they need not be read again and again.
 * Their number is bounded; of the others changes are found by looking.
 */
import { watch, type FSWatcher } from 'node:fs';
import { SourceLimits } from './limits.ts';

export class FolderWatches {
  readonly #all = new Map<FSWatcher, () => void>();

  /**
   * Watches an opened folder; undefined when the kernel has no place for one more.
   * @param place a path that stands for it, which asks no disk.
   * @param onChange called when its entries may have changed.
   * @param onEnd called when nobody tells of changes any more, but for a call of the returned function.
   */
  begin(place: string, onChange: () => void, onEnd: () => void): (() => void) | undefined {
    if (this.#all.size >= SourceLimits.folderWatches) return undefined;
    let watcher: FSWatcher;
    try {
      watcher = watch(place, { persistent: false });
    } catch {
      // fs.inotify.max_user_watches, or max_user_instances.
      return undefined;
    }
    watcher.on('change', (event) => {
      // Of a file that is written to there may be thousands; its folder has the same entries.
      if (event === 'rename') onChange();
    });
    watcher.on('error', () => this.#end(watcher));
    this.#all.set(watcher, onEnd);
    return () => {
      this.#all.delete(watcher);
      watcher.close();
    };
  }

  /** Another mount is there, or none. */
  clear(): void {
    for (const watcher of [...this.#all.keys()]) this.#end(watcher);
  }

  #end(watcher: FSWatcher): void {
    const onEnd = this.#all.get(watcher);
    if (!this.#all.delete(watcher)) return;
    watcher.close();
    onEnd?.();
  }
}
