/** All objects of one export in memory, by id and by handle. Drops the least recently used ones beyond a limit. */
import type { Kind } from './contract.ts';
import { encodeHandle } from './handle.ts';
import type { HashHalves, Identity } from './identity.ts';
import { IdTable } from './id-table.ts';
import { TreeLimits } from './limits.ts';
import type { ByteString } from './names.ts';
import { TreeNode } from './node.ts';

export class Registry {
  readonly root: TreeNode;
  readonly #identity: Identity;
  readonly #limit: number;
  readonly #byId = new IdTable<TreeNode>();
  /** Objects whose path hash was already another object's id, by handle. With 63 bits of SipHash practically empty. */
  readonly #displaced = new Map<string, TreeNode>();
  /** Directories with children in memory and when they were used, least recent first. */
  readonly #directories = new Map<TreeNode, number>();

  constructor(identity: Identity, limit: number = TreeLimits.nodes) {
    this.#identity = identity;
    this.#limit = limit;
    this.root = this.#create(undefined, '', 'directory');
  }

  get size(): number {
    return this.#byId.size;
  }

  /** The child of that name; creates it if it is unknown. @param hint its kind in the directory listing. */
  child(directory: TreeNode, name: ByteString, hint: Kind): TreeNode {
    const known = directory.children?.get(name);
    if (!known) return this.#add(directory, name, hint);
    if (!known.wasSeen && hint !== 'unknown') known.kind = hint;
    return known;
  }

  /** The child of that name, whose kind a lookup has returned. If it was seen with another kind, it is a new object. */
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

  /** The object of an id (unsigned 32-bit halves), if it is in memory. */
  byId(high: number, low: number): TreeNode | undefined {
    const node = this.#byId.get(high, low);
    return node?.gone === false ? node : undefined;
  }

  /** The object with exactly this handle, if it is in memory. */
  byHandle(handle: Buffer): TreeNode | undefined {
    const node =
      handle.length < 16 ? undefined : this.#byId.get(handle.readUInt32BE(8), handle.readUInt32BE(12));
    if (node && !node.gone && node.handle.equals(handle)) return node;
    const displaced = this.#displaced.size > 0 ? this.#displaced.get(handle.toString('latin1')) : undefined;
    return displaced && !displaced.gone ? displaced : undefined;
  }

  /** Notes a use of a directory. Cheap enough for every call. */
  touch(directory: TreeNode, now: number): void {
    const last = this.#directories.get(directory);
    if (last === undefined || now - last < 1_000) return;
    this.#directories.delete(directory);
    this.#directories.set(directory, now);
  }

  /** Directories with a listing in memory, most recently used first. */
  listedDirectories(): TreeNode[] {
    return [...this.#directories.keys()].filter((node) => node.directory && !node.gone).reverse();
  }

  /** Removes everything below a directory, and its listing. */
  clear(directory: TreeNode): void {
    for (const child of directory.children?.values() ?? []) this.remove(child);
    directory.children = undefined;
    directory.directory = undefined;
    this.#directories.delete(directory);
  }

  /** Removes an object that is gone, and everything below it. */
  remove(node: TreeNode): void {
    node.gone = true;
    node.parent?.entryChanged();
    this.clear(node);
    this.#forget(node);
    const parent = node.parent;
    // Drop the digest: the next listing must be processed, even if it has the same names, as a new object may have this name.
    if (parent?.directory && node.listed) parent.directory.digest = undefined;
    if (parent?.children?.get(node.name) === node) parent.children.delete(node.name);
  }

  /** Drops the least recently used objects until the limit holds. Their ids and handles stay valid. */
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
   * Gives the node its path hash as id. If another path has that id, uses the next hash in this path's sequence of hashes.
   */
  #claimId(node: TreeNode): void {
    const { path, pathHash } = node;
    let hash: HashHalves = pathHash;
    let attempt = 0;
    for (;;) {
      const holder = this.#byId.get(hash.high, hash.low);
      // The same path: the old object is gone, or was dropped from memory while it was still in use.
      if (!holder || holder.path === path) break;
      attempt += 1;
      hash = this.#identity.pathHash(path, attempt);
    }
    if (attempt > 0) {
      node.renumber(hash);
      this.#displaced.set(encodeHandle(this.#identity, node).toString('latin1'), node);
    }
    this.#byId.set(node);
  }

  #forget(node: TreeNode): void {
    this.#byId.delete(node);
    if (this.#displaced.size > 0) {
      const handle = node.handle.toString('latin1');
      if (this.#displaced.get(handle) === node) this.#displaced.delete(handle);
    }
  }
}
