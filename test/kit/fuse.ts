export * from '../../src/demo/content.ts';
export * from '../../src/demo/fuse-protocol.ts';
export * from '../../src/demo/fuse-tree.ts';
