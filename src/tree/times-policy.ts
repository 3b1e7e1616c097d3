/** How far the times of each part of a tree are believed. */
import type { TreeSource } from '../source/source.ts';
import type { TimesPolicy } from './contract.ts';
import type { TreeNode } from './node.ts';

export type PolicyOf = (node: Pick<TreeNode, 'path'>) => TimesPolicy;

/** Nothing but a FUSE daemon reports the clock as its files' times. */
export const policyOf =
  (source: Pick<TreeSource, 'part'>, configured: TimesPolicy): PolicyOf =>
  ({ path }) =>
    configured === 'auto' && source.part(path).isFuse ? 'auto' : 'source';
