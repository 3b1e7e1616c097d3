/** What mode bits and owners let somebody do, by whichever protocol. Every export is read-only. */
import type { Attributes, Awaitable } from './tree/contract.ts';
import { TreeError } from './tree/errors.ts';
import type { TreeNode } from './tree/node.ts';
import type { Tree } from './tree/tree.ts';

/** Whom a caller acts as. */
export interface Actor {
  readonly uid: number;
  readonly gid: number;
  /** Further groups. */
  readonly gids: readonly number[];
}

export const actor = (uid: number, gid: number): Actor => ({ uid, gid, gids: [] });

export const Permission = { read: 4, execute: 1 } as const;

/** The rwx bits (0..7) of the class the actor falls into; root may read everything and run what anybody may run. */
export function permissionBits({ kind, mode, uid, gid }: Attributes, who: Actor): number {
  if (who.uid === 0) return 6 | (kind === 'directory' || mode & 0o111 ? Permission.execute : 0);
  if (who.uid === uid) return (mode >> 6) & 7;
  const inGroup = who.gid === gid || who.gids.includes(gid);
  return (inGroup ? mode >> 3 : mode) & 7;
}

/** What everybody may do needs nobody's identity; of nearly all trees that is everything. */
const everybodyMay = ({ mode }: Attributes, bit: number): boolean => {
  const all = bit * 0o111;
  return (mode & all) === all;
};

/** Reading a file, listing a directory. `who` is asked only where the answer depends on it. */
export function mayRead(attributes: Attributes, who: () => Actor): boolean {
  const { read } = Permission;
  return everybodyMay(attributes, read) || (permissionBits(attributes, who()) & read) !== 0;
}

/** Looking up a name in a directory, running a file. */
export function maySearch(attributes: Attributes, who: () => Actor): boolean {
  const { execute } = Permission;
  return everybodyMay(attributes, execute) || (permissionBits(attributes, who()) & execute) !== 0;
}

/**
 * Does the work if the object's attributes permit it. Those at hand nearly always do; otherwise those of now decide, so
 * that a caller to whom it has just been opened is not refused. Throws `acces`.
 */
export function whenPermitted<T>(
  tree: Pick<Tree, 'attributes'>,
  node: TreeNode,
  permits: (attributes: Attributes) => boolean,
  work: () => Awaitable<T>,
): Awaitable<T> {
  if (node.attributes && permits(node.attributes)) return work();
  const check = (attributes: Attributes): Awaitable<T> => {
    if (!permits(attributes)) throw new TreeError('acces');
    return work();
  };
  const attributes = tree.attributes(node);
  return attributes instanceof Promise ? attributes.then(check) : check(attributes);
}
