/** Looks up names in directories, with a cache of absent names. */
import { LRUCache } from 'lru-cache';
import type { Found, TreeSource } from '../source/source.ts';
import type { Availability } from './availability.ts';
import type { Awaitable } from './contract.ts';
import { TreeError } from './errors.ts';
import { isAbsent, isAway } from './failures.ts';
import { TreeLimits } from './limits.ts';
import type { Listings } from './listings.ts';
import { knownOf, type Looks } from './looks.ts';
import { pathMax, type ByteString } from './names.ts';
import type { TreeNode } from './node.ts';
import { withPatience } from './patience.ts';
import type { Registry } from './registry.ts';

export interface LookupsOptions {
  readonly source: TreeSource;
  readonly registry: Registry;
  readonly listings: Listings;
  readonly looks: Looks;
  readonly availability: Availability;
}

export class Lookups {
  readonly #options: LookupsOptions;
  readonly #pending = new Map<ByteString, Promise<TreeNode>>();
  readonly #negatives = new LRUCache<ByteString, true>({
    max: TreeLimits.negatives,
    ttl: TreeLimits.negativeFresh,
    perf: { now: () => performance.now() },
  });

  constructor(options: LookupsOptions) {
    this.#options = options;
  }

  /** The object of a valid name (see nameFault). Throws `noent` only if a live source says so. */
  lookup(directory: TreeNode, name: ByteString): Awaitable<TreeNode> {
    if (directory.kind !== 'directory') throw new TreeError('notdir');
    if (directory.gone) throw new TreeError('stale', `gone: ${directory.path}`);
    const now = performance.now();
    this.#options.registry.touch(directory, now);
    const known = directory.children?.get(name);
    const fresh = known?.kind === 'directory' ? TreeLimits.entryFresh : TreeLimits.attributesFresh;
    if (known?.attributes && this.#options.looks.isFresh(known, now, fresh) && timesKnown(known))
      return known;
    const path = `${directory.path}/${name}`;
    if (path.length >= pathMax) throw new TreeError('nametoolong');
    if (!known && this.#negatives.has(path) && this.#options.availability.isLive(path))
      throw new TreeError('noent');
    const pending = this.#findOnce(directory, name, path);
    // If it takes long, answer from the cache: if the object is gone, later calls on it will report that.
    if (!known?.attributes) return pending;
    return withPatience(pending, known.isTimeless ? TreeLimits.datePatience : TreeLimits.patience, known);
  }

  /** Looks up and lists a directory before a client asks for it. */
  async readAhead(directory: TreeNode): Promise<void> {
    const { parent, name, path } = directory;
    if (directory.directory) await this.#options.listings.current(directory);
    else if (parent) await this.#findOnce(parent, name, path);
  }

  /** Parallel lookups of a name share one call. */
  #findOnce(directory: TreeNode, name: ByteString, path: ByteString): Promise<TreeNode> {
    let pending = this.#pending.get(path);
    if (!pending) {
      pending = this.#find(directory, name, path).finally(() => this.#pending.delete(path));
      this.#pending.set(path, pending);
    }
    return pending;
  }

  async #find(directory: TreeNode, name: ByteString, path: ByteString): Promise<TreeNode> {
    const { source, registry, listings, looks } = this.#options;
    const begun = performance.now();
    let found: Found;
    try {
      found = await this.#ask(directory, name, path);
    } catch (error) {
      const known = directory.children?.get(name);
      if (isAbsent(error)) {
        this.#negatives.set(path, true);
        if (known) listings.remove(known);
      } else if (isAway(error) && known?.attributes) return known;
      // An absent mount is shown as a directory, even if it was never there.
      if (isAway(error) && source.holdsMount(path)) return registry.child(directory, name, 'directory');
      throw error;
    }
    const { attributes, listing } = found;
    const node = registry.seen(directory, name, attributes.kind);
    looks.observe(node, attributes);
    if (listing && node.kind === 'directory') await listings.offer(node, listing, begun);
    registry.trim();
    // The object is not in the listing yet: refresh the listing.
    if (!node.listed && directory.directory) listings.refreshSoon(directory);
    if (!timesKnown(node)) await withPatience(this.#list(node), TreeLimits.patience, undefined);
    await looks.dated(node);
    return node;
  }

  /** Looks up the name. Lists it in the same request if it may be a directory that was never listed: its times need a listing. */
  async #ask(directory: TreeNode, name: ByteString, path: ByteString): Promise<Found> {
    const { source } = this.#options;
    const known = directory.children?.get(name);
    if (!known?.wasSeen || !timesKnown(known)) return await source.find(path, knownOf(known));
    return { attributes: await source.lstat(path, knownOf(known)), listing: undefined };
  }

  async #list(directory: TreeNode): Promise<void> {
    try {
      await this.#options.listings.get(directory);
    } catch {
      // The lookup succeeds even if the directory cannot be listed.
    }
  }
}

const timesKnown = (node: TreeNode): boolean => node.kind !== 'directory' || node.listingDigest !== 0;
