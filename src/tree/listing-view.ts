/** A snapshot with the methods that both protocols need for their listings. Each protocol extends it. */
import type { Awaitable } from './contract.ts';
import type { TreeNode } from './node.ts';
import type { Snapshot } from './snapshot.ts';
import type { Tree } from './tree.ts';

export class ListingView {
  protected readonly tree: Tree;
  protected readonly snapshot: Snapshot<TreeNode>;

  constructor(tree: Tree, snapshot: Snapshot<TreeNode>) {
    this.tree = tree;
    this.snapshot = snapshot;
  }

  get length(): number {
    return this.snapshot.length;
  }

  cookieAt(index: number): number {
    return this.snapshot.cookieAt(index);
  }

  /** Index of the first entry after the cookie. */
  after(cookie: number): number {
    return this.snapshot.after(cookie);
  }

  /** Loads the attributes of the entries from..to (exclusive). */
  load(from: number, to: number): Awaitable<void> {
    return this.tree.load(this.snapshot, from, to);
  }

  /**
   * The entry's node; undefined only if a live source has since said that it is gone. Its attributes are missing if they could
   * not be loaded in time.
   */
  nodeAt(index: number): TreeNode | undefined {
    const node = this.snapshot.nodes[index]!;
    return node.gone ? undefined : node;
  }
}
