/**
 * Objects that clients hold open. They stay in memory, and files among them are checked regularly: a client with a lease reads
 * from its own cache and sends no requests, so changes must be detected here.
 */
import type { TreeSource } from '../source/source.ts';
import type { Availability } from './availability.ts';
import { TreeLimits } from './limits.ts';
import type { Looks } from './looks.ts';
import type { ByteString } from './names.ts';
import type { TreeNode } from './node.ts';

export class Pins {
  readonly #source: TreeSource;
  readonly #looks: Looks;
  readonly #availability: Availability;
  /** Least recently checked first. */
  readonly #pinned = new Set<TreeNode>();
  readonly #timer: NodeJS.Timeout;

  constructor(source: TreeSource, looks: Looks, availability: Availability) {
    this.#source = source;
    this.#looks = looks;
    this.#availability = availability;
    this.#timer = setInterval(() => this.#lookAtOldest(), TreeLimits.pinnedInterval).unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** Pins an object, and holds the file's content open, until the returned function is called. */
  pin(node: TreeNode): () => void {
    node.pins += 1;
    this.#pinned.add(node);
    const release = node.kind === 'file' ? this.#source.file(node.path).hold() : undefined;
    let pinned = true;
    return () => {
      if (!pinned) return;
      pinned = false;
      release?.();
      node.pins -= 1;
      if (node.pins === 0) this.#pinned.delete(node);
    };
  }

  /** After an outage of the mount at `base`: checks all pinned objects, as clients with leases must learn of changes. */
  lookAtAll(base: ByteString): void {
    for (const node of this.#pinned)
      if (this.#source.part(node.path).base === base) this.#looks.look(node).catch(() => undefined);
  }

  /** Checks up to `pinnedBatch` files per tick, least recently checked first. */
  #lookAtOldest(): void {
    const now = performance.now();
    let left: number = TreeLimits.pinnedBatch;
    for (const node of [...this.#pinned].slice(0, TreeLimits.pinnedBatch * 4)) {
      this.#pinned.delete(node);
      this.#pinned.add(node);
      if (node.gone || node.kind !== 'file' || !this.#availability.isLive(node.path)) continue;
      if (this.#looks.isFresh(node, now, TreeLimits.attributesFresh)) continue;
      this.#looks.look(node).catch(() => undefined);
      left -= 1;
      if (left === 0) return;
    }
  }
}
