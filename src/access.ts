/** Access checks by mode bits and owner, for both protocols. Every export is read-only. */
import type { Attributes, Awaitable } from './tree/contract.ts';
import { TreeError } from './tree/errors.ts';
import type { TreeNode } from './tree/node.ts';
import type { Tree } from './tree/tree.ts';

/** The ids that a caller acts as. */
export interface Actor {
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups. */
  readonly gids: readonly number[];
}

export const actor = (uid: number, gid: number): Actor => ({ uid, gid, gids: [] });

export const Permission = { read: 4, execute: 1 } as const;

/** The rwx bits (0..7) for the actor's class. Root may read everything and execute what any class may execute. */
export function permissionBits({ kind, mode, uid, gid }: Attributes, who: Actor): number {
  if (who.uid === 0) return 6 | (kind === 'directory' || mode & 0o111 ? Permission.execute : 0);
  if (who.uid === uid) return (mode >> 6) & 7;
  const inGroup = who.gid === gid || who.gids.includes(gid);
  return (inGroup ? mode >> 3 : mode) & 7;
}

/** Whether all three classes have the bit: then the actor need not be known. True for nearly all entries. */
const everybodyMay = ({ mode }: Attributes, bit: number): boolean => {
  const all = bit * 0o111;
  return (mode & all) === all;
};

/** Whether the actor may read a file or list a directory. `who` is called only if the answer depends on the actor. */
export function mayRead(attributes: Attributes, who: () => Actor): boolean {
  const { read } = Permission;
  return everybodyMay(attributes, read) || (permissionBits(attributes, who()) & read) !== 0;
}

/** Whether the actor may look up names in a directory or execute a file. */
export function maySearch(attributes: Attributes, who: () => Actor): boolean {
  const { execute } = Permission;
  return everybodyMay(attributes, execute) || (permissionBits(attributes, who()) & execute) !== 0;
}

/**
 * Runs `work` if the node's attributes permit it. If the cached attributes do not, fresh ones decide, so that a permission
 * that was just granted takes effect at once. Throws `acces`.
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
