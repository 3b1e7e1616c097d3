/** Decides which policy applies to the times of each part of a tree. */
import type { TreeSource } from '../source/source.ts';
import type { TimesPolicy } from './contract.ts';
import type { TreeNode } from './node.ts';

export type PolicyOf = (node: Pick<TreeNode, 'path'>) => TimesPolicy;

/** With `auto`, only FUSE mounts need it: other file systems do not report the clock as a file's time. */
export const policyOf =
  (source: Pick<TreeSource, 'part'>, configured: TimesPolicy): PolicyOf =>
  ({ path }) =>
    configured === 'auto' && source.part(path).isFuse ? 'auto' : 'source';
