import type { CallContext, ChangeAction, ChangeEvent } from '../backend.ts';
import type { MemoryNode } from './node.ts';

export type MemoryListener = (event: ChangeEvent<MemoryNode>) => void;

interface Watch {
  readonly recursive: boolean;
  readonly listener: MemoryListener;
}

/** Listeners for changes, by directory. */
export class Watchers {
  private readonly watches = new Map<MemoryNode, Set<Watch>>();
  private cause: CallContext | undefined;

  /** Reports all changes that `change` makes before it returns as caused by `call`. */
  causedBy<T>(call: CallContext, change: () => T): T {
    this.cause = call;
    try {
      return change();
    } finally {
      this.cause = undefined;
    }
  }

  add(directory: MemoryNode, recursive: boolean, listener: MemoryListener): () => void {
    const watch: Watch = { recursive, listener };
    const set = this.watches.get(directory) ?? new Set();
    this.watches.set(directory, set.add(watch));
    return () => {
      set.delete(watch);
      if (set.size === 0 && this.watches.get(directory) === set) this.watches.delete(directory);
    };
  }

  emit(directory: MemoryNode, name: string, action: ChangeAction, node: MemoryNode, filter: number): void {
    if (this.watches.size === 0) return;
    const event: ChangeEvent<MemoryNode> = { directory, name, action, node, filter, cause: this.cause };
    const listeners: MemoryListener[] = [];
    for (
      let above: MemoryNode | undefined = directory;
      above !== undefined;
      above = above.places[0]?.directory
    ) {
      for (const watch of this.watches.get(above) ?? []) {
        if (watch.recursive || above === directory) listeners.push(watch.listener);
      }
    }
    for (const listener of listeners) listener(event);
  }

  /** Reports a change of the object under each of its names. */
  modified(node: MemoryNode, filter: number): void {
    for (const place of node.file.places)
      this.emit(place.directory, place.name, 'modified', node.file, filter);
  }
}
