/**
 * Reads ahead of walks. A client that lists one subdirectory after the other, as scanners, find and du do, waits for the source
 * at each of them. Once it has listed a few in the order of the listing, the next ones are looked up and listed in advance.
 * How far ahead doubles with each step, and a walk that ends has cost the source a few lookups at most.
 */
import { LRUCache } from 'lru-cache';
import { TreeLimits } from './limits.ts';
import type { TreeNode } from './node.ts';
import type { Snapshot } from './snapshot.ts';

export interface WalksOptions {
  /** Whether a directory can be listed without a call to the source. */
  readonly isKnown: (directory: TreeNode) => boolean;
  /** Looks up and lists a directory. */
  readonly fetch: (directory: TreeNode) => Promise<unknown>;
}

/** A walk through the subdirectories of one directory. */
interface Walk {
  readonly snapshot: Snapshot<TreeNode>;
  /** The subdirectory that was listed last, and its place in the snapshot. */
  last: TreeNode;
  at: number;
  /** Subdirectories listed in order so far. */
  steps: number;
  /** Place of the next entry to fetch. */
  next: number;
  /** Place before which entries may be fetched. */
  end: number;
  running: number;
}

export class Walks {
  readonly #options: WalksOptions;
  /** By the directory whose subdirectories are listed. */
  readonly #walks = new LRUCache<TreeNode, Walk>({ max: TreeLimits.walks });

  constructor(options: WalksOptions) {
    this.#options = options;
  }

  /** A client lists a directory. */
  entered(directory: TreeNode): void {
    const { parent } = directory;
    const snapshot = parent?.directory?.snapshot;
    if (!parent || !snapshot) return;
    const known = this.#walks.get(parent);
    // Clients list a directory in several requests.
    if (known?.last === directory) return;
    const at = snapshot.indexOf(directory);
    if (at < 0) return;
    const walk = known?.snapshot === snapshot ? known : undefined;
    if (!walk || at < walk.at || at - walk.at > TreeLimits.walkGap) {
      this.#walks.set(parent, { snapshot, last: directory, at, steps: 0, next: at + 1, end: 0, running: 0 });
      return;
    }
    walk.last = directory;
    walk.at = at;
    walk.steps += 1;
    walk.next = Math.max(walk.next, at + 1);
    const ahead = Math.min(TreeLimits.walkAhead, 2 ** Math.min(10, walk.steps - TreeLimits.walkSteps));
    if (ahead < 1) return;
    walk.end = Math.min(snapshot.length, at + 1 + ahead);
    while (walk.running < TreeLimits.walkAtOnce && walk.next < walk.end) void this.#fetchNext(walk);
  }

  async #fetchNext(walk: Walk): Promise<void> {
    walk.running += 1;
    try {
      while (walk.next < walk.end) {
        const node = walk.snapshot.nodes[walk.next]!;
        walk.next += 1;
        if (node.kind === 'directory' && !node.gone && !this.#options.isKnown(node))
          await this.#options.fetch(node);
      }
    } catch {
      // The client's own request will get the error. Do not ask a source in trouble for more.
      walk.steps = 0;
      walk.end = 0;
    } finally {
      walk.running -= 1;
    }
  }
}
