/** Finds the object of a handle: in memory, or by a tree walk along the pieces of its path. */
import type { TreeSource } from '../source/source.ts';
import type { Awaitable } from './contract.ts';
import { TreeError } from './errors.ts';
import { isAbsent } from './failures.ts';
import { decodeHandle, pieceMatches, type DecodedHandle } from './handle.ts';
import type { Identity } from './identity.ts';
import type { Listings } from './listings.ts';
import type { Looks } from './looks.ts';
import type { Lookups } from './lookups.ts';
import type { TreeNode } from './node.ts';
import type { Registry } from './registry.ts';

export interface ResolverOptions {
  readonly identity: Identity;
  readonly source: TreeSource;
  readonly registry: Registry;
  readonly listings: Listings;
  readonly looks: Looks;
  readonly lookups: Lookups;
}

export class Resolver {
  readonly #options: ResolverOptions;

  constructor(options: ResolverOptions) {
    this.#options = options;
  }

  resolve(handle: Buffer): Awaitable<TreeNode> {
    const { identity, registry } = this.#options;
    const known = registry.byHandle(handle);
    if (known) return known;
    const decoded = decodeHandle(identity, handle);
    if (!decoded) throw new TreeError('badhandle', 'not a handle of this export');
    if (decoded.depth === 0) {
      if (handle.equals(registry.root.handle)) return registry.root;
      throw new TreeError('badhandle', 'not a handle of this export');
    }
    if (!decoded.walkable) throw new TreeError('stale', 'too deep to be found again');
    return this.#walkTo(Buffer.from(handle), decoded);
  }

  async #walkTo(handle: Buffer, decoded: DecodedHandle): Promise<TreeNode> {
    const { source, registry, lookups } = this.#options;
    const walked: TreeNode[] = [];
    const found = await this.#walk(registry.root, handle, decoded, 0, walked);
    // No listing has it: it is gone, if all mounts that were listed are still live.
    if (!found) {
      const bases = new Set(walked.map(({ path }) => source.part(path).base));
      for (const base of bases) await source.confirm(base);
      throw new TreeError('stale', 'no such object any more');
    }
    return await lookups.lookup(found.parent!, found.name);
  }

  /** Depth-first search of the names that match the piece at this level. Nearly always only one does. */
  async #walk(
    directory: TreeNode,
    handle: Buffer,
    decoded: DecodedHandle,
    level: number,
    walked: TreeNode[],
  ): Promise<TreeNode | undefined> {
    const { listings, looks } = this.#options;
    walked.push(directory);
    const snapshot = await listings.current(directory);
    const fitting = snapshot.nodes.filter(
      (node) => !node.gone && pieceMatches(handle, decoded.depth, level, node.nameHash),
    );
    for (const node of fitting) {
      if (level === decoded.depth - 1) {
        if (node.handle.equals(handle)) return node;
        continue;
      }
      // The kind from the listing is only a hint: look the entry up.
      if (!node.wasSeen && !(await isThere(looks, node))) continue;
      if (node.kind !== 'directory') continue;
      const found = await this.#walk(node, handle, decoded, level + 1, walked);
      if (found) return found;
    }
    return undefined;
  }
}

const isThere = (looks: Looks, node: TreeNode): Promise<boolean> =>
  looks.look(node).then(
    () => true,
    (error: unknown) => {
      if (isAbsent(error)) return false;
      throw error;
    },
  );
