/** A whole share in memory: a writable backend for tests, conformance suites and examples. */
import {
  type Awaitable,
  type CallContext,
  type DirectoryListing,
  type FileTime,
  type NodeAttributes,
  type ShareBackend,
  type ShareChanges,
  type VolumeInfo,
  type VolumeSpace,
} from '../backend.ts';
import { fail } from '../errors.ts';
import { Status } from '../wire/status.ts';
import { memoryChanges } from './changes.ts';
import { MemoryListing } from './listing.ts';
import type { MemoryNode, Place } from './node.ts';
import { gate, MemoryOpen, type Delay, type Gate } from './open.ts';
import { fileTimeNow, MemoryTree } from './tree.ts';
import type { MemoryListener } from './watchers.ts';

const DEFAULT_CAPACITY = 256 * 1024 * 1024;

export interface MemoryShareOptions {
  /** Bytes of memory for all contents together; DISK_FULL beyond. Default: 256 MiB. */
  readonly capacity?: number;
  readonly label?: string;
  /** Unsigned 32 bit. */
  readonly serial?: number;
  /** Leaves out `changes`. The helper methods of this class still change the tree. */
  readonly readOnly?: boolean;
  /** False: files have no alternate data streams. Default: true. */
  readonly streams?: boolean;
  /** False: FILE_ATTRIBUTE_COMPRESSED cannot be set. Default: true. */
  readonly compresses?: boolean;
  /** Allows names in one directory that differ only in case. Default: false, as on NTFS. */
  readonly caseSensitive?: boolean;
  readonly uid?: number;
  readonly gid?: number;
  readonly clock?: () => FileTime;
  /**
   * For tests: called before each operation, which then waits for the returned promise, if any. An operation whose
   * promise never settles hangs until the signal of the caller aborts (CANCELLED).
   */
  readonly delay?: Delay;
}

export class MemoryShare implements ShareBackend<MemoryNode> {
  readonly volume: VolumeInfo;
  readonly changes: ShareChanges<MemoryNode> | undefined;
  private readonly tree: MemoryTree;
  private readonly gate: Gate;

  constructor(options: MemoryShareOptions = {}) {
    this.tree = new MemoryTree({
      capacity: options.capacity ?? DEFAULT_CAPACITY,
      caseSensitive: options.caseSensitive ?? false,
      clock: options.clock ?? fileTimeNow,
      uid: options.uid ?? 0,
      gid: options.gid ?? 0,
    });
    this.gate = gate(options.delay);
    this.volume = {
      label: options.label ?? 'MEMORY',
      serial: options.serial ?? 0x4d454d31,
      creationTime: this.tree.root.creationTime,
      filesystemName: 'NTFS',
    };
    this.changes = options.readOnly === true ? undefined : memoryChanges(this.tree, this.gate, options);
  }

  get root(): MemoryNode {
    return this.tree.root;
  }

  lookup(
    directory: MemoryNode,
    name: string,
    caseSensitive: boolean,
    call: CallContext,
  ): Awaitable<MemoryNode | undefined> {
    return this.gate('lookup', directory, call, () => this.tree.lookup(directory, name, caseSensitive));
  }

  nodeById(id: bigint): MemoryNode | undefined {
    return this.tree.byId.get(id);
  }

  /**
   * Of several hard links, the one by which the object was last found. A removed object keeps its last place. A stream
   * has the place of its file.
   */
  parent(node: MemoryNode): Place | undefined {
    return node.place;
  }

  attributes(node: MemoryNode, call: CallContext): Awaitable<NodeAttributes> {
    return this.gate('attributes', node, call, () => node.attributes());
  }

  cachedAttributes(node: MemoryNode): NodeAttributes {
    return node.attributes();
  }

  list(directory: MemoryNode, call: CallContext): Awaitable<DirectoryListing<MemoryNode>> {
    return this.gate('list', directory, call, () => {
      if (directory.kind !== 'directory') fail(Status.NOT_A_DIRECTORY);
      return new MemoryListing(directory);
    });
  }

  open(node: MemoryNode, access: { readonly write: boolean }, call: CallContext): Awaitable<MemoryOpen> {
    return this.gate('open', node, call, () => {
      if (node.gone) fail(Status.OBJECT_NAME_NOT_FOUND);
      if (access.write && this.changes === undefined) fail(Status.MEDIA_WRITE_PROTECTED);
      return new MemoryOpen(node, access.write, this.gate);
    });
  }

  readlink(node: MemoryNode, call: CallContext): Awaitable<string> {
    return this.gate('readlink', node, call, () =>
      node.kind === 'symlink' ? node.target : fail(Status.NOT_A_REPARSE_POINT),
    );
  }

  space(call: CallContext): Awaitable<VolumeSpace> {
    return this.gate('space', this.root, call, () => {
      const { capacity, free } = this.tree.budget;
      return { totalBytes: capacity, freeBytes: free, availableBytes: free };
    });
  }

  watch(directory: MemoryNode, recursive: boolean, listener: MemoryListener): () => void {
    return this.tree.watchers.add(directory, recursive, listener);
  }

  /** Makes the missing directories of a `/`-separated path. Returns the last one. */
  makeDirectories(path: string): MemoryNode {
    let node = this.root;
    for (const name of path.split('/').filter((part) => part !== '')) {
      node = this.tree.lookup(node, name, false) ?? this.tree.create(node, name, { kind: 'directory' });
    }
    return node;
  }

  /** Writes a file at a `/`-separated path; makes its directories and replaces existing content. */
  putFile(path: string, content: Buffer | string): MemoryNode {
    const { directory, name } = this.split(path);
    const node =
      this.tree.lookup(directory, name, false) ?? this.tree.create(directory, name, { kind: 'file' });
    if (node.kind !== 'file') fail(Status.OBJECT_TYPE_MISMATCH);
    this.tree.changeContent(node, () => {
      node.content.truncate(0);
      node.content.write(0, typeof content === 'string' ? Buffer.from(content) : content);
    });
    return node;
  }

  /** Makes a symbolic link with `target` as given. OBJECT_NAME_COLLISION when the name exists. */
  putSymlink(path: string, target: string): MemoryNode {
    const { directory, name } = this.split(path);
    return this.tree.create(directory, name, { kind: 'symlink', target });
  }

  private split(path: string): Place {
    const at = path.lastIndexOf('/');
    return { directory: this.makeDirectories(path.slice(0, Math.max(0, at))), name: path.slice(at + 1) };
  }
}
