/** Announces detected changes of the tree to subscribers. */
import type { TreeNode } from './node.ts';

export interface ListingChange {
  readonly type: 'listing';
  readonly directory: TreeNode;
  readonly added: readonly TreeNode[];
  readonly removed: readonly TreeNode[];
}

export interface ContentChange {
  readonly type: 'content';
  readonly node: TreeNode;
}

export type TreeChange = ListingChange | ContentChange;

export class Changes {
  readonly #listeners = new Set<(change: TreeChange) => void>();

  /** Calls back for every change until the returned function is called. */
  subscribe(listener: (change: TreeChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  announce(change: TreeChange): void {
    for (const listener of this.#listeners) listener(change);
  }

  clear(): void {
    this.#listeners.clear();
  }
}
