import type { OpenNode, ShareChanges } from '../backend.ts';
import { fail } from '../errors.ts';
import { Status } from '../wire/status.ts';
import type { MemoryNode } from './node.ts';
import { MemoryOpen, type Gate } from './open.ts';
import { MemoryDescriptors, MemoryExtendedAttributes, MemoryStreams } from './stores.ts';
import type { MemoryTree } from './tree.ts';

/** The methods of the in-memory share that change files. */
export function memoryChanges(
  tree: MemoryTree,
  gate: Gate,
  options: { readonly streams?: boolean; readonly compresses?: boolean },
): ShareChanges<MemoryNode> {
  const change: Gate = (operation, node, call, run) =>
    gate(operation, node, call, () => tree.watchers.causedBy(call, run));
  return {
    create: (directory, name, options, call) =>
      change('create', directory, call, () => tree.create(directory, name, options)),
    write: (open, offset, data, call) =>
      change('write', open.node, call, () => {
        checkWritable(open);
        if (!Number.isSafeInteger(offset + data.length)) fail(Status.INVALID_PARAMETER);
        if (data.length > 0) tree.changeContent(open.node, () => open.node.content.write(offset, data));
      }),
    truncate: (node, size, call) =>
      change('truncate', node, call, () => {
        if (node.kind !== 'file') fail(Status.INVALID_PARAMETER);
        if (!Number.isSafeInteger(size) || size < 0) fail(Status.INVALID_PARAMETER);
        tree.changeContent(node, () => node.content.truncate(size));
      }),
    setAttributes: (node, wanted, call) =>
      change('setAttributes', node, call, () => tree.setAttributes(node, wanted)),
    rename: (node, directory, name, replace, call) =>
      change('rename', node, call, () => tree.rename(node, directory, name, replace)),
    link: (node, directory, name, replace, call) =>
      change('link', node, call, () => tree.link(node, directory, name, replace)),
    remove: (node, call) => change('remove', node, call, () => tree.remove(node)),
    flush: (open, call) => gate('flush', open.node, call, () => undefined),
    compresses: options.compresses !== false,
    securityDescriptors: new MemoryDescriptors(tree),
    extendedAttributes: new MemoryExtendedAttributes(tree),
    ...(options.streams === false ? {} : { streams: new MemoryStreams(tree) }),
    holes: {
      allocated: (node, range) => node.content.allocated(range),
      punch: (node, range) => tree.changeContent(node, () => node.content.punch(range)),
    },
  };
}

function checkWritable(open: OpenNode<MemoryNode>): void {
  if (open.node.kind !== 'file') fail(Status.INVALID_DEVICE_REQUEST);
  if (!(open instanceof MemoryOpen) || !open.write) fail(Status.ACCESS_DENIED);
}
