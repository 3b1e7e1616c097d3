/** A snapshot as the protocols go through it; each adds what its own listings want to know. */
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
    return this.snapshot.nodes[index]!.cookie;
  }

  /** Index of the first entry behind the cookie's place. */
  after(cookie: number): number {
    return this.snapshot.after(cookie);
  }

  /** Makes the attributes of the entries from..to (exclusive) ready. */
  load(from: number, to: number): Awaitable<void> {
    return this.tree.load(this.snapshot, from, to);
  }

  /**
   * The entry's node; undefined only when a live source has said since that it is gone. Its attributes may be missing: it was
   * listed, but could not be looked at in time.
   */
  nodeAt(index: number): TreeNode | undefined {
    const node = this.snapshot.nodes[index]!;
    return node.gone ? undefined : node;
  }
}
