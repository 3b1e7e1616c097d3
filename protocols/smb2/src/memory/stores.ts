/** The optional stores of the in-memory share: security descriptors, extended attributes, alternate data streams. */
import type { BlobStore, ExtendedAttributeStore, StreamStore } from '../backend.ts';
import { fail } from '../errors.ts';
import { MAX_DESCRIPTOR_BYTES } from '../security/index.ts';
import { NotifyFilter } from '../wire/constants.ts';
import { Status } from '../wire/status.ts';
import type { MemoryNode } from './node.ts';
import type { MemoryTree } from './tree.ts';

/** Longest FILE_FULL_EA_INFORMATION list of one file, in bytes ([MS-FSCC] 2.4.15). */
const MAX_EA_LIST_BYTES = 64 * 1024;
const EA_ENTRY_OVERHEAD = 9;
const MAX_STREAMS = 1024;

export class MemoryDescriptors implements BlobStore<MemoryNode> {
  private readonly tree: MemoryTree;

  constructor(tree: MemoryTree) {
    this.tree = tree;
  }

  get(node: MemoryNode): Buffer | undefined {
    return node.file.securityDescriptor;
  }

  set(node: MemoryNode, value: Buffer): void {
    if (value.length > MAX_DESCRIPTOR_BYTES) fail(Status.INSUFFICIENT_RESOURCES);
    // The first descriptor belongs to the creation of the object, which has its own notification.
    const isFirst = node.file.securityDescriptor === undefined;
    node.file.securityDescriptor = Buffer.from(value);
    if (!isFirst) this.tree.changeMetadata(node, NotifyFilter.SECURITY);
  }
}

/** Finds names without regard to case. An empty value removes the attribute ([MS-FSA] 2.1.5.15.5). */
export class MemoryExtendedAttributes implements ExtendedAttributeStore<MemoryNode> {
  private readonly tree: MemoryTree;

  constructor(tree: MemoryTree) {
    this.tree = tree;
  }

  list(node: MemoryNode): { name: string; flags: number; value: Buffer }[] {
    const table = node.file.extendedAttributes;
    return table.names().map((name) => ({ ...table.get(name)! }));
  }

  set(node: MemoryNode, name: string, flags: number, value: Buffer): void {
    const table = node.file.extendedAttributes;
    const spelling = table.spelling(name, false);
    if (value.length > 0) {
      let total = EA_ENTRY_OVERHEAD + Buffer.byteLength(name) + value.length;
      for (const other of table.values()) {
        if (other.name !== spelling)
          total += EA_ENTRY_OVERHEAD + Buffer.byteLength(other.name) + other.value.length;
      }
      if (total > MAX_EA_LIST_BYTES) fail(Status.EA_TOO_LARGE);
    } else if (spelling === undefined) return;
    if (spelling !== undefined) table.delete(spelling);
    if (value.length > 0) table.set(name, { name, flags, value: Buffer.from(value) });
    this.tree.changeMetadata(node, NotifyFilter.EA);
  }
}

export class MemoryStreams implements StreamStore<MemoryNode> {
  private readonly tree: MemoryTree;

  constructor(tree: MemoryTree) {
    this.tree = tree;
  }

  list(node: MemoryNode): { name: string; size: number; allocationSize: number }[] {
    return node.streams.names().map((name) => {
      const stream = node.streams.get(name)!;
      return { name, size: stream.content.size, allocationSize: stream.allocationSize };
    });
  }

  lookup(node: MemoryNode, name: string): MemoryNode | undefined {
    return node.streams.find(name, false);
  }

  create(node: MemoryNode, name: string): MemoryNode {
    if (node.owner !== undefined || node.kind === 'symlink') fail(Status.OBJECT_NAME_INVALID);
    if (node.gone) fail(Status.FILE_DELETED);
    if (node.streams.spelling(name, false) !== undefined) fail(Status.OBJECT_NAME_COLLISION);
    if (node.streams.size >= MAX_STREAMS) fail(Status.INSUFFICIENT_RESOURCES);
    const stream = this.tree.newStream(node);
    stream.streamName = name;
    node.streams.set(name, stream);
    this.tree.changeMetadata(node, NotifyFilter.STREAM_NAME);
    return stream;
  }

  owner(stream: MemoryNode): { node: MemoryNode; name: string } | undefined {
    return stream.owner === undefined ? undefined : { node: stream.owner, name: stream.streamName };
  }

  remove(stream: MemoryNode): void {
    this.drop(stream);
    this.tree.changeMetadata(stream, NotifyFilter.STREAM_NAME);
  }

  rename(stream: MemoryNode, name: string, replace: boolean): void {
    const owner = stream.owner ?? fail(Status.INVALID_PARAMETER);
    if (stream.gone) fail(Status.FILE_DELETED);
    const occupant = owner.streams.find(name, false);
    if (occupant !== undefined && occupant !== stream) {
      if (!replace) fail(Status.OBJECT_NAME_COLLISION);
      this.drop(occupant);
    }
    owner.streams.delete(stream.streamName);
    stream.streamName = name;
    owner.streams.set(name, stream);
    this.tree.changeMetadata(stream, NotifyFilter.STREAM_NAME);
  }

  private drop(stream: MemoryNode): void {
    const owner = stream.owner ?? fail(Status.INVALID_PARAMETER);
    if (stream.gone) fail(Status.FILE_DELETED);
    owner.streams.delete(stream.streamName);
    stream.removed = true;
    stream.releaseIfUnused();
  }
}
