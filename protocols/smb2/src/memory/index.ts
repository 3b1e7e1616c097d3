export { MemoryShare, type MemoryShareOptions } from './memory-share.ts';
export { MemoryNode } from './node.ts';
export type { Delay, MemoryOperation } from './open.ts';
