/** Serves one export as an SMB share, read-only: connects the tree to the protocol layer. */
import {
  foldName,
  Status,
  StatusError,
  toFileTime,
  type Awaitable,
  type CallContext,
  type Caller,
  type ChangeEvent,
  type DirectoryListing,
  type NodeAttributes,
  type NodeKind,
  type OpenNode,
  type ShareBackend,
  type VolumeInfo,
  type VolumeSpace,
} from '@tsmb2/server';
import { actor, mayRead, maySearch, whenPermitted, type Actor } from '../access.ts';
import type { Streams } from '../admin/index.ts';
import type { TreeChange } from '../tree/changes.ts';
import type { Attributes, Kind, ReadOutcome, Time } from '../tree/contract.ts';
import { TreeError } from '../tree/errors.ts';
import { andThen, hold, type HoldTerms, type Subject } from '../tree/hold.ts';
import { nameFault, type ByteString } from '../tree/names.ts';
import { ListingView } from '../tree/listing-view.ts';
import type { TreeNode } from '../tree/node.ts';
import { RecentlyMade } from '../tree/recently-made.ts';
import type { Tree } from '../tree/tree.ts';
import { toStatusError } from './errors.ts';
import { FoldIndexes, type FoldIndex } from './fold-index.ts';
import { bytesOf, nameOf, textOf } from './names.ts';

/** Marks a time that is not known. */
const noTime: Time = { seconds: 0, nanoseconds: 0 };

/** FILETIME 0 means "not known". */
const fileTime = (time: Time): bigint => (time === noTime ? 0n : toFileTime(time.seconds, time.nanoseconds));

const attributeReadonly = 0x1;

function kindOf(attributes: Attributes): NodeKind {
  return attributes.kind === 'directory' || attributes.kind === 'symlink' ? attributes.kind : 'file';
}

/**
 * Attributes of an entry that is listed but could not be read. The size must not be 0: importers take an empty file for
 * a broken one and may delete it. All clients ask again on open (cifs, libsmb2 and Windows take the size of the CREATE
 * reply), so an impossible size only looks odd.
 */
const unknownAttributes = (kind: Kind): Attributes => ({
  kind,
  mode: kind === 'directory' ? 0o755 : 0o644,
  links: 1,
  uid: 0,
  gid: 0,
  size: kind === 'directory' ? 0 : Number.MAX_SAFE_INTEGER,
  used: 0,
  rdevMajor: 0,
  rdevMinor: 0,
  atime: noTime,
  mtime: noTime,
  ctime: noTime,
  creation: noTime,
});

const cache = new RecentlyMade<Attributes, NodeAttributes>();

function nodeAttributes(node: TreeNode, attributes: Attributes): NodeAttributes {
  return cache.get(attributes, () => ({
    kind: kindOf(attributes),
    id: node.id,
    // Devices, sockets and pipes have no size of their own: theirs is what stat(2) gives, usually 0.
    size: attributes.kind === 'directory' ? 0 : attributes.size,
    allocationSize:
      attributes.kind === 'directory' ? 0 : Math.max(attributes.used, Math.ceil(attributes.size / 512) * 512),
    links: attributes.kind === 'directory' ? 1 : attributes.links,
    creationTime: fileTime(attributes.creation),
    lastAccessTime: fileTime(attributes.atime),
    lastWriteTime: fileTime(attributes.mtime),
    changeTime: fileTime(attributes.ctime),
    dosAttributes: (attributes.mode & 0o222) === 0 && attributes.kind !== 'directory' ? attributeReadonly : 0,
    mode: attributes.mode,
    uid: attributes.uid,
    gid: attributes.gid,
  }));
}

/** A request waits for as long as its client does: the interim reply tells the client that the request is alive. */
const terms: HoldTerms<CallContext> = {
  timeoutMs: Infinity,
  translate: toStatusError,
  client: ({ caller }) => caller.address,
};

function answer<T>(tree: Tree, call: CallContext, subject: Subject, work: () => Awaitable<T>): Awaitable<T> {
  return hold(tree, call, terms, subject, work);
}

/** Handles a thrown error and a rejected promise. Makes no promise when `work` makes none. */
function orElse<T>(
  work: () => Awaitable<T>,
  otherwise: (error: unknown) => Awaitable<T | undefined>,
): Awaitable<T | undefined> {
  try {
    const result = work();
    return result instanceof Promise ? result.catch(otherwise) : result;
  } catch (error) {
    return otherwise(error);
  }
}

function unlessMissing(error: unknown): undefined {
  if (!(error instanceof TreeError) || error.code !== 'noent') throw error;
}

const lengthOf = ({ length }: ReadOutcome) => length;

const folds = new FoldIndexes();

/** Another export into which links of this share are followed. */
export interface LinkedTree {
  readonly name: string;
  readonly tree: Tree;
  /** Whether a caller may read it, by its own rules. */
  readonly admits: (caller: Caller) => boolean;
}

/** The name in a share's root under which a linked export is found; no listing shows it. */
export const linkedName = (exportName: string): string => `.export-${exportName}`;

export class TreeShare implements ShareBackend<TreeNode> {
  readonly volume: VolumeInfo;
  /** Every share is read-only: the gateway does not change a FUSE tree. */
  readonly changes = undefined;
  /** The tree serves this many reads of one file at once. */
  readonly readsAtOnce = 4;
  readonly #tree: Tree;
  readonly #streams: Streams;
  #actorOf: (caller: Caller) => Actor = () => actor(65534, 65534);
  #linked: readonly LinkedTree[] = [];

  /** @param streams the streams of its readers, for the status page. */
  constructor(tree: Tree, streams: Streams) {
    this.#tree = tree;
    this.#streams = streams;
    this.volume = {
      label: tree.identity.exportName,
      serial: tree.identity.volumeSerial,
      // Not known before the source was read, and no client uses it.
      creationTime: 0n,
      filesystemName: 'NTFS',
    };
  }

  /** Sets how callers map to user and group ids. */
  setActors(actorOf: (caller: Caller) => Actor): void {
    this.#actorOf = actorOf;
  }

  /** Where links lead besides the share itself, from now on. */
  setLinked(linked: readonly LinkedTree[]): void {
    this.#linked = linked;
  }

  /** The tree of an object, which links may have led to. */
  #treeOf(node: TreeNode): Tree {
    if (node.identity === this.#tree.identity) return this.#tree;
    const linked = this.#linked.find(({ tree }) => tree.identity === node.identity);
    // An export that was taken out meanwhile.
    if (!linked) throw new StatusError(Status.FILE_CLOSED);
    return linked.tree;
  }

  get root(): TreeNode {
    return this.#tree.root;
  }

  lookup(
    directory: TreeNode,
    name: string,
    caseSensitive: boolean,
    call: CallContext,
  ): Awaitable<TreeNode | undefined> {
    const linked = directory === this.root ? this.#linkedUnder(name) : undefined;
    if (linked) return linked.admits(call.caller) ? linked.tree.root : undefined;
    const exact = bytesOf(name);
    if (exact === undefined || nameFault(exact)) return undefined;
    const missing = caseSensitive
      ? (error: unknown) => unlessMissing(error)
      : (error: unknown) => this.#lookupFolded(directory, name, exact, error);
    const tree = this.#treeOf(directory);
    return answer(tree, call, { node: directory, name: exact }, () =>
      this.#permitted(directory, maySearch, call, () => orElse(() => tree.lookup(directory, exact), missing)),
    );
  }

  #linkedUnder(name: string): LinkedTree | undefined {
    return this.#linked.find((one) => linkedName(one.name) === name);
  }

  /** Looks the name up without regard to case, since no name matches exactly. */
  #lookupFolded(
    directory: TreeNode,
    name: string,
    exact: ByteString,
    error: unknown,
  ): Awaitable<TreeNode | undefined> {
    unlessMissing(error);
    const tree = this.#treeOf(directory);
    const find = (index: FoldIndex): Awaitable<TreeNode | undefined> => {
      const found = index.get(foldName(name));
      // The listing may be older than the answer that the exact name does not exist.
      if (!found || found.name === exact) return undefined;
      return orElse(() => tree.lookup(directory, found.name), unlessMissing);
    };
    const snapshot = tree.list(directory);
    const index = snapshot instanceof Promise ? snapshot.then((one) => folds.of(one)) : folds.of(snapshot);
    return index instanceof Promise ? index.then(find) : find(index);
  }

  nodeById(id: bigint): TreeNode | undefined {
    return this.#tree.byId(Number(id >> 32n), Number(id & 0xffffffffn));
  }

  parent(node: TreeNode): { directory: TreeNode; name: string } | undefined {
    if (node.parent) return { directory: node.parent, name: nameOf(node) };
    const linked = this.#linked.find(({ tree }) => tree.root === node);
    return linked && { directory: this.root, name: linkedName(linked.name) };
  }

  attributes(node: TreeNode, call: CallContext): Awaitable<NodeAttributes> {
    const tree = this.#treeOf(node);
    return answer(tree, call, { node }, () =>
      andThen(tree.attributes(node), (attributes) => nodeAttributes(node, attributes)),
    );
  }

  cachedAttributes(node: TreeNode): NodeAttributes | undefined {
    return node.attributes && !node.gone ? nodeAttributes(node, node.attributes) : undefined;
  }

  list(directory: TreeNode, call: CallContext): Awaitable<DirectoryListing<TreeNode>> {
    const tree = this.#treeOf(directory);
    const list = () => andThen(tree.list(directory), (snapshot) => new Listing(tree, snapshot));
    return answer(tree, call, { node: directory }, () => this.#permitted(directory, mayRead, call, list));
  }

  /** Called only for opens that read content, not for those that read attributes only. */
  open(node: TreeNode, _access: object, call: CallContext): Awaitable<OpenNode<TreeNode>> {
    return answer(this.#treeOf(node), call, { node }, () =>
      this.#permitted(node, mayRead, call, () => this.#opened(node)),
    );
  }

  #opened(node: TreeNode): OpenNode<TreeNode> {
    const tree = this.#treeOf(node);
    return {
      node,
      read: (offset, target, call) => {
        const result = answer(tree, call, { node }, () =>
          this.#permitted(node, mayRead, call, () =>
            andThen(
              tree.read(node, offset, target, () => !call.signal.aborted),
              lengthOf,
            ),
          ),
        );
        return this.#streams.of(node, 'smb', call.caller.address).follow(offset, result);
      },
      close: tree.pin(node),
    };
  }

  /** Mode bits and owners apply to SMB callers as they do to NFS callers. */
  #permitted<T>(
    node: TreeNode,
    permits: typeof mayRead,
    call: CallContext,
    work: () => Awaitable<T>,
  ): Awaitable<T> {
    const who = () => this.#actorOf(call.caller);
    return whenPermitted(this.#treeOf(node), node, (attributes) => permits(attributes, who), work);
  }

  readlink(node: TreeNode, call: CallContext): Awaitable<string> {
    const tree = this.#treeOf(node);
    return answer(tree, call, { node }, async () => textOf(await tree.readlink(node)));
  }

  space(call: CallContext): Awaitable<VolumeSpace> {
    return answer(this.#tree, call, { node: this.root }, () => this.#tree.space());
  }

  watch(
    directory: TreeNode,
    recursive: boolean,
    listener: (event: ChangeEvent<TreeNode>) => void,
  ): () => void {
    const tree = this.#treeOf(directory);
    const unsubscribe = tree.subscribe((change) => {
      const place = change.type === 'listing' ? change.directory : change.node.parent;
      if (!place || !(place === directory || (recursive && isBelow(place, directory)))) return;
      for (const event of eventsOf(change)) listener(event);
    });
    const release = tree.keepFresh(directory);
    return () => {
      unsubscribe();
      release();
    };
  }
}

function isBelow(node: TreeNode, directory: TreeNode): boolean {
  for (let at = node.parent; at; at = at.parent) if (at === directory) return true;
  return false;
}

function* eventsOf(change: TreeChange): Generator<ChangeEvent<TreeNode>> {
  if (change.type === 'content') {
    const { node } = change;
    if (node.parent) yield { directory: node.parent, name: nameOf(node), action: 'modified', node };
    return;
  }
  const { directory } = change;
  for (const node of change.removed) yield { directory, name: nameOf(node), action: 'removed', node };
  for (const node of change.added) yield { directory, name: nameOf(node), action: 'added', node };
}

class Listing extends ListingView implements DirectoryListing<TreeNode> {
  nameAt(index: number): string {
    return nameOf(this.snapshot.nodes[index]!);
  }

  placeAt(index: number): string {
    return String(this.cookieAt(index));
  }

  indexAfter(place: string): number {
    if (!/^\d{1,16}$/.test(place)) throw new StatusError(Status.FILE_CLOSED);
    return this.after(Number(place));
  }

  attributesAt(index: number): NodeAttributes | undefined {
    const node = this.nodeAt(index);
    return node && nodeAttributes(node, node.attributes ?? unknownAttributes(node.kind));
  }
}
