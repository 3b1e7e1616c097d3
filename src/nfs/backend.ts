/** Serves exports over NFSv3 and MOUNT v3: connects the tree to the protocol layer. */
import {
  MountError,
  MountStatus,
  NfsError,
  NfsStatus,
  type Awaitable,
  type ByteString,
  type CallContext,
  type DirectoryListing,
  type ExportEntry,
  type FileAttributes,
  type Fileid,
  type FsInfo,
  type FsStat,
  type MountBackend,
  type NfsBackend,
  type PathConf,
  type Peer,
  type ReadResult,
} from '@holdfast/nfs-rpc';
import { whenPermitted } from '../access.ts';
import type { Streams } from '../admin/index.ts';
import { renderName } from '../log/index.ts';
import type { Attributes } from '../tree/contract.ts';
import { TreeError } from '../tree/errors.ts';
import { handleVersion } from '../tree/handle.ts';
import { andThen, hold, isDown, type HoldTerms, type Subject } from '../tree/hold.ts';
import { ListingView } from '../tree/listing-view.ts';
import { nameFault, nameMax, pathParts } from '../tree/names.ts';
import type { TreeNode } from '../tree/node.ts';
import type { Snapshot } from '../tree/snapshot.ts';
import type { Tree } from '../tree/tree.ts';
import { fileAttributes } from './attributes.ts';
import { toMountError, toNfsError } from './errors.ts';
import { accessBits, callerMayRead, callerMaySearch, type Squash } from './permission.ts';

export interface NfsExport {
  /** Without the leading slash. */
  readonly name: string;
  readonly tree: Tree;
  /** The streams of its readers, for the status page. */
  readonly streams: Streams;
  readonly squash: Squash;
  readonly allows: (address: string) => boolean;
  /** The client rule as the EXPORT procedure shows it. */
  readonly groups: readonly string[];
}

export interface NfsGatewayHooks {
  readonly onMount: (exportName: string, path: string, call: CallContext) => void;
  readonly onUnmount: (path: string, call: CallContext) => void;
  readonly onRefused: (exportName: string, call: CallContext, why: 'name' | 'address') => void;
}

/** Answers a retransmission at once while the first call still waits: a client with a `soft` mount would give up soon. */
const throwJukebox = (): never => {
  throw new NfsError(NfsStatus.JUKEBOX);
};

/**
 * How long a call waits for a source that is away, in ms. On JUKEBOX, a Linux client retries every 5 s without end, but
 * libnfs reports an error. So wait as long as possible, but less than the 60 s after which Linux retransmits.
 */
const holdTime = 50_000;

const terms: HoldTerms<CallContext> = {
  timeoutMs: holdTime,
  translate: toNfsError,
  client: ({ peer }) => peer.address,
  onWait: (call) => {
    call.onRetransmission = throwJukebox;
  },
};

function answer<T>(tree: Tree, call: CallContext, subject: Subject, work: () => Awaitable<T>): Awaitable<T> {
  return hold(tree, call, terms, subject, work);
}

export class NfsGateway implements NfsBackend<TreeNode>, MountBackend {
  /** Every export is read-only: the gateway does not change a FUSE tree. */
  readonly changes = undefined;
  #exports: readonly NfsExport[] = [];
  readonly #byTag = new Map<string, NfsExport>();
  readonly #byTree = new Map<unknown, NfsExport>();
  readonly #hooks: NfsGatewayHooks;
  /** Results of the client rules, kept for as long as the connection lasts. */
  #verdicts = new WeakMap<Peer, Map<NfsExport, boolean>>();

  constructor(exports: readonly NfsExport[], hooks: NfsGatewayHooks) {
    this.#hooks = hooks;
    this.setExports(exports);
  }

  /** Replaces the exports. File handles of exports that stay remain valid. */
  setExports(exports: readonly NfsExport[]): void {
    this.#exports = exports;
    this.#byTag.clear();
    this.#byTree.clear();
    this.#verdicts = new WeakMap();
    for (const entry of exports) {
      this.#byTag.set(entry.tree.identity.exportTag.toString('latin1'), entry);
      this.#byTree.set(entry.tree.identity, entry);
    }
  }

  /** Whether any export allows this address. */
  admits(address: string): boolean {
    return this.#exports.some(({ allows }) => allows(address));
  }

  // -- NFSv3 -----------------------------------------------------------------------------------------------------------

  resolve(handle: Buffer, call: CallContext): Awaitable<TreeNode> {
    const entry = handle[0] === handleVersion ? this.#byTag.get(handle.toString('latin1', 2, 8)) : undefined;
    if (!entry) throw new NfsError(NfsStatus.BADHANDLE);
    if (!this.#allowed(entry, call)) throw new NfsError(NfsStatus.ACCES);
    const { tree } = entry;
    return answer(tree, call, { node: undefined }, () => {
      const found = tree.resolve(handle);
      if (tree.identity.secret) return found;
      return andThen(found, (node) => this.#reached(entry, node, call)) as Awaitable<TreeNode>;
    });
  }

  /**
   * Without a secret seed, anybody can make a file handle. So require that the caller may reach the object by its path,
   * as if it had looked up each name.
   */
  #reached(entry: NfsExport, node: TreeNode, call: CallContext): Awaitable<TreeNode> {
    for (let above = node.parent; above; above = above.parent) {
      const { attributes } = above;
      if (attributes && callerMaySearch(attributes, call, entry.squash)) continue;
      return this.#reachedNow(entry, node, call);
    }
    return node;
  }

  /** The same check with fresh attributes: the mode of a directory may have changed since they were cached. */
  async #reachedNow({ tree, squash }: NfsExport, node: TreeNode, call: CallContext): Promise<TreeNode> {
    for (let above = node.parent; above; above = above.parent) {
      const attributes = await tree.attributes(above);
      if (!callerMaySearch(attributes, call, squash)) throw new TreeError('acces');
    }
    return node;
  }

  handle(node: TreeNode): Buffer {
    return node.handle;
  }

  fileid(node: TreeNode): Fileid {
    return { high: node.idHigh, low: node.idLow };
  }

  cachedAttributes(node: TreeNode): FileAttributes | undefined {
    return node.attributes && !node.gone ? fileAttributes(node, node.attributes) : undefined;
  }

  getAttributes(node: TreeNode, call: CallContext): Awaitable<FileAttributes> {
    const { tree } = this.#of(node);
    return answer(tree, call, { node }, () =>
      andThen(tree.attributes(node), (attributes) => fileAttributes(node, attributes)),
    );
  }

  access(node: TreeNode, wanted: number, call: CallContext): Awaitable<number> {
    const { tree, squash } = this.#of(node);
    return answer(tree, call, { node }, () =>
      // Clients send ACCESS before they list. Fresh times here match those of the listing.
      andThen(tree.attributes(node, true), (attributes) => wanted & accessBits(attributes, call, squash)),
    );
  }

  lookup(directory: TreeNode, name: ByteString, call: CallContext): Awaitable<TreeNode> {
    const { tree, squash } = this.#of(directory);
    return answer(tree, call, { node: directory, name }, () =>
      whenPermitted(
        tree,
        directory,
        (attributes) => callerMaySearch(attributes, call, squash),
        () => tree.lookup(directory, name),
      ),
    );
  }

  parent(node: TreeNode): TreeNode {
    return node.parent ?? node;
  }

  readlink(node: TreeNode, call: CallContext): Awaitable<ByteString> {
    const { tree } = this.#of(node);
    return answer(tree, call, { node }, () => tree.readlink(node));
  }

  read(node: TreeNode, offset: number, target: Buffer, call: CallContext): Awaitable<ReadResult> {
    const { tree, squash, streams } = this.#of(node);
    const result = answer(tree, call, { node }, () =>
      whenPermitted(
        tree,
        node,
        (attributes) => callerMayRead(attributes, call, squash),
        () => tree.read(node, offset, target, () => !call.signal.aborted),
      ),
    );
    return streams.of(node, 'nfs', call.peer.address).follow(offset, result);
  }

  readWaits(node: TreeNode, { peer }: CallContext): () => void {
    const { waiters } = this.#of(node).tree;
    const waiter = { since: performance.now(), node, name: undefined, client: peer.address };
    waiters.add(waiter);
    return () => waiters.delete(waiter);
  }

  list(directory: TreeNode, call: CallContext): Awaitable<DirectoryListing<TreeNode>> {
    const { tree, squash } = this.#of(directory);
    return answer(tree, call, { node: directory }, () =>
      whenPermitted(
        tree,
        directory,
        (attributes) => callerMayRead(attributes, call, squash),
        () =>
          andThen(tree.list(directory), (snapshot) => {
            const { attributes } = directory;
            // A directory that may be read but not searched: READDIRPLUS returns names only.
            const searchable = !attributes || callerMaySearch(attributes, call, squash);
            return new Listing(tree, directory, snapshot, searchable);
          }),
      ),
    );
  }

  fsStat(node: TreeNode, call: CallContext): Awaitable<FsStat> {
    const { tree } = this.#of(node);
    return answer(tree, call, { node }, async () => {
      const space = await tree.space(node);
      return { ...space, availableFiles: space.freeFiles, invariantSeconds: 0 };
    });
  }

  fsInfo(): FsInfo {
    return {
      maxFileSize: Number.MAX_SAFE_INTEGER,
      timeDelta: { seconds: 0, nanoseconds: 1 },
      symlinks: true,
      hardLinks: false,
      canSetTime: false,
      homogeneous: true,
    };
  }

  pathConf(): PathConf {
    return {
      linkMax: 1,
      nameMax,
      noTruncation: true,
      chownRestricted: true,
      caseInsensitive: false,
      casePreserving: true,
    };
  }

  // -- MOUNT v3 --------------------------------------------------------------------------------------------------------

  exports(): readonly ExportEntry[] {
    return this.#exports.map(({ name, groups }) => ({ path: `/${name}`, groups }));
  }

  async mount(path: ByteString, call: CallContext): Promise<Buffer> {
    const parts = pathParts(path);
    const entry = this.#exports.find(({ name }) => Buffer.from(name).toString('latin1') === parts[0]);
    if (!entry) {
      this.#hooks.onRefused(renderName(parts[0] ?? '/'), call, 'name');
      throw new MountError(MountStatus.NOENT);
    }
    if (!this.#allowed(entry, call)) throw new MountError(MountStatus.ACCES);
    const walk = () => this.#directoryAt(entry, parts.slice(1), call);
    try {
      const node = await walk().catch((error: unknown) => {
        if (!isDown(error)) throw error;
        return entry.tree.resume('', walk, error, holdTime, call.signal);
      });
      this.#hooks.onMount(entry.name, path, call);
      return node.handle;
    } catch (error) {
      throw toMountError(error);
    }
  }

  unmounted(path: ByteString, call: CallContext): void {
    this.#hooks.onUnmount(path, call);
  }

  /** Walks from the export's root to the folder at the path, as far as the caller has permission. */
  async #directoryAt(
    { tree, squash }: NfsExport,
    parts: readonly ByteString[],
    call: CallContext,
  ): Promise<TreeNode> {
    const permits = (attributes: Attributes) => callerMaySearch(attributes, call, squash);
    let node = tree.root;
    for (const part of parts) {
      if (nameFault(part)) throw new TreeError(nameFault(part) === 'too-long' ? 'nametoolong' : 'noent');
      const directory = node;
      node = await whenPermitted(tree, directory, permits, () => tree.lookup(directory, part));
    }
    if (node.kind !== 'directory') throw new TreeError('notdir');
    return node;
  }

  // -- Access ----------------------------------------------------------------------------------------------------------

  #of(node: TreeNode): NfsExport {
    const entry = this.#byTree.get(node.identity);
    // The export was removed while a call on it was running.
    if (!entry) throw new NfsError(NfsStatus.STALE);
    return entry;
  }

  #allowed(entry: NfsExport, call: CallContext): boolean {
    const { peer } = call;
    const verdicts = this.#verdicts.get(peer) ?? new Map<NfsExport, boolean>();
    this.#verdicts.set(peer, verdicts);
    let verdict = verdicts.get(entry);
    if (verdict === undefined) {
      verdict = entry.allows(peer.address);
      verdicts.set(entry, verdict);
      if (!verdict) this.#hooks.onRefused(entry.name, call, 'address');
    }
    return verdict;
  }
}

class Listing extends ListingView implements DirectoryListing<TreeNode> {
  readonly #directory: TreeNode;
  readonly #searchable: boolean;

  constructor(tree: Tree, directory: TreeNode, snapshot: Snapshot<TreeNode>, searchable: boolean) {
    super(tree, snapshot);
    this.#directory = directory;
    this.#searchable = searchable;
  }

  get edition(): object | undefined {
    const isCurrent = this.#directory.directory?.snapshot === this.snapshot;
    return isCurrent && this.#searchable ? this.#directory.edition : undefined;
  }

  override load(from: number, to: number): Awaitable<void> {
    return this.#searchable ? super.load(from, to) : undefined;
  }

  override nodeAt(index: number): TreeNode | undefined {
    return this.#searchable ? super.nodeAt(index) : undefined;
  }

  nameAt(index: number): ByteString {
    return this.snapshot.nodes[index]!.name;
  }

  fileidHighAt(index: number): number {
    return this.snapshot.nodes[index]!.idHigh;
  }

  fileidLowAt(index: number): number {
    return this.snapshot.nodes[index]!.idLow;
  }
}
