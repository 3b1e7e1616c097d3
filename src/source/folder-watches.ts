/**
 * Watches folders by inotify(7) for created, deleted and renamed entries, so that they need not be listed repeatedly. The number
 * of watches is limited; changes in other folders are found by listing them.
 */
import { watch, type FSWatcher } from 'node:fs';
import { SourceLimits } from './limits.ts';

export class FolderWatches {
  readonly #all = new Map<FSWatcher, () => void>();

  /**
   * Watches an opened folder. Returns a function that ends the watch; undefined if a limit is reached.
   * @param place path of the open descriptor, such as /proc/self/fd/20, which the kernel resolves without I/O.
   * @param onChange called when entries may have changed.
   * @param onEnd called if the watch ends by itself, not by the returned function.
   */
  begin(place: string, onChange: () => void, onEnd: () => void): (() => void) | undefined {
    if (this.#all.size >= SourceLimits.folderWatches) return undefined;
    let watcher: FSWatcher;
    try {
      watcher = watch(place, { persistent: false });
    } catch {
      // fs.inotify.max_user_watches or max_user_instances is reached.
      return undefined;
    }
    watcher.on('change', (event) => {
      // Ignore `change`: a file being written causes thousands of them, but the folder's entries stay the same.
      if (event === 'rename') onChange();
    });
    watcher.on('error', () => this.#end(watcher));
    this.#all.set(watcher, onEnd);
    return () => {
      this.#all.delete(watcher);
      watcher.close();
    };
  }

  /** Ends all watches, as the mount has changed or gone. */
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
