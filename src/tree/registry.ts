/** All objects that are remembered of one export: by id, by handle, and which directories were used least. */
import type { Kind } from './contract.ts';
import { encodeHandle } from './handle.ts';
import type { HashHalves, Identity } from './identity.ts';
import { TreeLimits } from './limits.ts';
import type { ByteString } from './names.ts';
import { TreeNode } from './node.ts';

const scratch = Buffer.alloc(8);

function keyOf(high: number, low: number): string {
  scratch.writeUInt32BE(high, 0);
  scratch.writeUInt32BE(low, 4);
  return scratch.toString('latin1');
}

export class Registry {
  readonly root: TreeNode;
  readonly #identity: Identity;
  readonly #limit: number;
  readonly #byId = new Map<string, TreeNode>();
  /** Objects whose path hash was another's id already; for the 63 bits of SipHash this stays empty. */
  readonly #displaced = new Map<string, TreeNode>();
  /** Directories that have children here, least recently used first. */
  readonly #directories = new Map<TreeNode, number>();

  constructor(identity: Identity, limit: number = TreeLimits.nodes) {
    this.#identity = identity;
    this.#limit = limit;
    this.root = this.#create(undefined, '', 'directory');
  }

  get size(): number {
    return this.#byId.size;
  }

  /** The child of that name, made when it is not known yet. @param hint what the directory says of its kind. */
  child(directory: TreeNode, name: ByteString, hint: Kind): TreeNode {
    const known = directory.children?.get(name);
    if (!known) return this.#add(directory, name, hint);
    if (!known.wasSeen && hint !== 'unknown') known.kind = hint;
    return known;
  }

  /** The child of that name, of which a look has told the kind. One that was seen as another kind is another object. */
  seen(directory: TreeNode, name: ByteString, kind: Kind): TreeNode {
    const known = directory.children?.get(name);
    if (known && (!known.wasSeen || known.kind === kind)) return known;
    if (known) this.remove(known);
    return this.#add(directory, name, kind);
  }

  #add(directory: TreeNode, name: ByteString, kind: Kind): TreeNode {
    const node = this.#create(directory, name, kind);
    if (!directory.children) {
      directory.children = new Map();
      this.#directories.set(directory, performance.now());
    }
    directory.children.set(name, node);
    return node;
  }

  /** The object of an id (unsigned 32-bit halves), if it is remembered. */
  byId(high: number, low: number): TreeNode | undefined {
    const node = this.#byId.get(keyOf(high, low));
    return node?.gone === false ? node : undefined;
  }

  /** The object whose handle begins with this path hash, if it is remembered and the handle is exactly its own. */
  byHandle(handle: Buffer): TreeNode | undefined {
    const node = this.#byId.get(handle.toString('latin1', 8, 16));
    if (node && !node.gone && node.handle.equals(handle)) return node;
    const displaced = this.#displaced.size > 0 ? this.#displaced.get(handle.toString('latin1')) : undefined;
    return displaced && !displaced.gone ? displaced : undefined;
  }

  /** Notes a use; cheap enough for every call. */
  touch(directory: TreeNode, now: number): void {
    const last = this.#directories.get(directory);
    if (last === undefined || now - last < 1_000) return;
    this.#directories.delete(directory);
    this.#directories.set(directory, now);
  }

  /** Directories whose listings are remembered, most recently used first. */
  listedDirectories(): TreeNode[] {
    return [...this.#directories.keys()].filter((node) => node.directory && !node.gone).reverse();
  }

  /** Forgets an object that is gone, and all below it. */
  remove(node: TreeNode): void {
    node.gone = true;
    for (const child of node.children?.values() ?? []) this.remove(child);
    node.children = undefined;
    node.directory = undefined;
    this.#directories.delete(node);
    this.#forget(node);
    const parent = node.parent;
    if (parent?.children?.get(node.name) === node) parent.children.delete(node.name);
  }

  /** Forgets what was used least until the bound holds; identities do not depend on memory. */
  trim(): void {
    if (this.#byId.size <= this.#limit) return;
    for (const directory of this.#directories.keys()) {
      if (this.#byId.size <= this.#limit * 0.9) return;
      this.#shrink(directory);
    }
  }

  #shrink(directory: TreeNode): void {
    if (directory.listing) return;
    for (const child of directory.children?.values() ?? []) {
      if (child.children || child.pins > 0 || child.looking || child.listing) continue;
      directory.children?.delete(child.name);
      this.#forget(child);
    }
    directory.directory = undefined;
    if (directory.children?.size === 0) {
      directory.children = undefined;
      this.#directories.delete(directory);
    }
  }

  #create(parent: TreeNode | undefined, name: ByteString, kind: Kind): TreeNode {
    const node = new TreeNode(this.#identity, parent, name, kind);
    this.#claimId(node);
    return node;
  }

  /**
   * Gives the node its path hash as id, or, when an object of another path has that id, the next of its own sequence of
   * hashes. Within one listing the order is that of the cookies, so every process decides alike.
   */
  #claimId(node: TreeNode): void {
    let hash: HashHalves = node.pathHash;
    let key = keyOf(hash.high, hash.low);
    for (let attempt = 1; this.#byId.has(key); attempt++) {
      const holder = this.#byId.get(key)!;
      // The same path again: the old object is gone, or was forgotten while somebody held on to it.
      if (holder.path === node.path) break;
      hash = this.#identity.pathHash(node.path, attempt);
      key = keyOf(hash.high, hash.low);
    }
    node.idHigh = hash.high;
    node.idLow = hash.low;
    this.#byId.set(key, node);
    if (hash !== node.pathHash)
      this.#displaced.set(encodeHandle(this.#identity, node).toString('latin1'), node);
  }

  #forget(node: TreeNode): void {
    const key = keyOf(node.idHigh, node.idLow);
    if (this.#byId.get(key) === node) this.#byId.delete(key);
    if (this.#displaced.size > 0) {
      const handle = node.handle.toString('latin1');
      if (this.#displaced.get(handle) === node) this.#displaced.delete(handle);
    }
  }
}
