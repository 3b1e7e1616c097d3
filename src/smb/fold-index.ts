/** Finds entries of a listing without regard to case. Makes one map for each snapshot when it is first needed. */
import { foldName } from '@tsmb2/server';
import type { Awaitable } from '../tree/contract.ts';
import type { TreeNode } from '../tree/node.ts';
import type { Snapshot } from '../tree/snapshot.ts';

import { nameOf } from './names.ts';

/** Node by folded name. Of names that differ only in case, the first in the listing. */
export type FoldIndex = ReadonlyMap<string, TreeNode>;

/** Names to fold before the event loop gets a turn: about half a millisecond. */
const SLICE = 1000;

export class FoldIndexes {
  readonly #cache = new WeakMap<Snapshot<TreeNode>, Awaitable<FoldIndex>>();

  of(snapshot: Snapshot<TreeNode>): Awaitable<FoldIndex> {
    let index = this.#cache.get(snapshot);
    if (!index) {
      index = this.#make(snapshot);
      this.#cache.set(snapshot, index);
    }
    return index;
  }

  #make(snapshot: Snapshot<TreeNode>): Awaitable<FoldIndex> {
    const index = new Map<string, TreeNode>();
    add(index, snapshot, 0);
    if (snapshot.length <= SLICE) return index;
    return this.#continue(snapshot, index);
  }

  async #continue(snapshot: Snapshot<TreeNode>, index: Map<string, TreeNode>): Promise<FoldIndex> {
    for (let at = SLICE; at < snapshot.length; at += SLICE) {
      await new Promise(setImmediate);
      add(index, snapshot, at);
    }
    this.#cache.set(snapshot, index);
    return index;
  }
}

function add(index: Map<string, TreeNode>, { nodes, length }: Snapshot<TreeNode>, from: number): void {
  for (let at = from; at < Math.min(length, from + SLICE); at++) {
    const node = nodes[at]!;
    const folded = foldName(nameOf(node));
    if (!index.has(folded)) index.set(folded, node);
  }
}
