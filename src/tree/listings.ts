/** Reads directory listings, compares them with the last ones, and refreshes those in use. */
import { setImmediate as turn } from 'node:timers/promises';
import type { RawAttributes, RawListing, TreeSource } from '../source/source.ts';
import type { Availability } from './availability.ts';
import type { Changes } from './changes.ts';
import type { Awaitable } from './contract.ts';
import { TreeError } from './errors.ts';
import { failedWith, isAbsent, isAway } from './failures.ts';
import { TreeLimits } from './limits.ts';
import type { PolicyOf } from './times-policy.ts';
import type { TreeNode } from './node.ts';
import { Observations } from './observations.ts';
import { withPatience } from './patience.ts';
import type { Registry } from './registry.ts';
import { Snapshot } from './snapshot.ts';

export interface ListingsOptions {
  readonly source: TreeSource;
  readonly registry: Registry;
  readonly availability: Availability;
  readonly times: PolicyOf;
  readonly changes: Changes;
  /** Called after each reading. */
  readonly onListed: (directory: TreeNode) => void;
  /** Applies attributes that came with a listing. */
  readonly observe: (node: TreeNode, raw: RawAttributes) => void;
  /** Looks up an object. Rejects with `noent` or `notdir` if a live source says that it is gone. */
  readonly look: (node: TreeNode) => Promise<unknown>;
}

export class Listings {
  readonly #options: ListingsOptions;
  /** Number of watchers of each directory. */
  readonly #watched = new Map<TreeNode, number>();
  /** Directories in use and when they were last requested, least recent first. Bounded by `directoriesInUse`. */
  readonly #inUse = new Map<TreeNode, number>();
  readonly #observations: Observations;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  /** Directories that will be read again within `toldDelay`, as inotify has reported changes. */
  readonly #told = new Set<TreeNode>();
  /** Since when a directory's listings lack entries that still exist. */
  readonly #omittedSince = new WeakMap<TreeNode, number>();

  constructor(options: ListingsOptions) {
    this.#options = options;
    this.#observations = new Observations(options.source, (directory) => this.#changed(directory));
    this.#schedule();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#observations.close();
  }

  /** Keeps a directory's listing fresh until the returned function is called. */
  keepFresh(directory: TreeNode): () => void {
    this.#watched.set(directory, (this.#watched.get(directory) ?? 0) + 1);
    let kept = true;
    return () => {
      if (!kept) return;
      kept = false;
      const left = (this.#watched.get(directory) ?? 1) - 1;
      if (left === 0) this.#watched.delete(directory);
      else this.#watched.set(directory, left);
    };
  }

  isFresh(directory: TreeNode, now: number): boolean {
    const state = directory.directory;
    if (!state || state.listedAt <= this.#options.availability.liveSince(directory.path)) return false;
    const limit = this.#observations.isQuiet(directory) ? TreeLimits.quietFresh : freshFor(state.cost);
    return now - state.listedAt < limit;
  }

  /** A listing that is about a second old at most; the last one if a refresh takes long. */
  get(directory: TreeNode): Awaitable<Snapshot<TreeNode>> {
    if (directory.kind !== 'directory') throw new TreeError('notdir');
    if (directory.gone) throw new TreeError('stale', `gone: ${directory.path}`);
    const state = directory.directory;
    const now = performance.now();
    this.#options.registry.touch(directory, now);
    if (!state) return this.#first(directory, now);
    this.#use(directory, now);
    if (this.isFresh(directory, now)) return state.snapshot;
    return this.#refreshOrLast(directory, state.snapshot);
  }

  async #first(directory: TreeNode, now: number): Promise<Snapshot<TreeNode>> {
    const snapshot = await this.#refresh(directory);
    this.#use(directory, now);
    return snapshot;
  }

  /** Applies the first listing of a directory, which came with its attributes. */
  async offer(directory: TreeNode, raw: RawListing, begun: number): Promise<void> {
    if (directory.listing || directory.directory || directory.gone) return;
    directory.listing = this.#keep(directory, raw, begun).finally(() => (directory.listing = undefined));
    await directory.listing;
  }

  /** A newly read listing; the last good one while the source is absent. */
  async current(directory: TreeNode): Promise<Snapshot<TreeNode>> {
    const last = directory.directory?.snapshot;
    try {
      return await this.#refresh(directory);
    } catch (error) {
      if (last && isAway(error)) return last;
      throw error;
    }
  }

  refreshSoon(directory: TreeNode): void {
    if (directory.gone) return;
    this.#refresh(directory).catch(() => {
      // The next request for the listing gets the error.
    });
  }

  /** Forgets an object that is gone or replaced, and everything below it. */
  remove(node: TreeNode): void {
    const directory = node.parent;
    this.#options.source.forget(node.path);
    this.#options.registry.remove(node);
    if (directory && node.listed) this.refreshSoon(directory);
  }

  #refreshOrLast(directory: TreeNode, last: Snapshot<TreeNode>): Promise<Snapshot<TreeNode>> {
    const refreshed = this.#refresh(directory).catch((error: unknown) => {
      if (isAway(error)) return last;
      throw error;
    });
    return withPatience(refreshed, TreeLimits.patience, last);
  }

  #refresh(directory: TreeNode): Promise<Snapshot<TreeNode>> {
    directory.listing ??= this.#read(directory).finally(() => (directory.listing = undefined));
    return directory.listing;
  }

  async #read(directory: TreeNode): Promise<Snapshot<TreeNode>> {
    const begun = performance.now();
    this.#observations.reading(directory);
    return await this.#keep(directory, await this.#ask(directory), begun);
  }

  async #keep(directory: TreeNode, raw: RawListing | 'same', begun: number): Promise<Snapshot<TreeNode>> {
    const snapshot = await this.#take(directory, raw);
    const now = performance.now();
    if (directory.gone) throw new TreeError('stale', `gone: ${directory.path}`);
    const state = directory.directory;
    const isWhole = !this.#omittedSince.has(directory);
    const digest = raw === 'same' ? state?.digest : isWhole ? raw.digest : undefined;
    const usedOnce = state?.usedOnce;
    const edition = state?.snapshot === snapshot ? state.edition : undefined;
    directory.directory = { snapshot, listedAt: now, cost: now - begun, digest, usedOnce, edition };
    this.#options.registry.trim();
    this.#options.onListed(directory);
    return snapshot;
  }

  async #ask(directory: TreeNode): Promise<RawListing | 'same'> {
    const { snapshot, digest } = directory.directory ?? {};
    try {
      return await this.#options.source.readdir(directory.path, snapshot?.length ?? 0, digest);
    } catch (error) {
      if (!isAbsent(error)) throw error;
      if (!directory.parent) throw new TreeError('down', 'the root does not exist', { cause: error });
      this.remove(directory);
      throw new TreeError('stale', `gone: ${directory.path}`, { cause: error });
    }
  }

  /** Returns the last snapshot if nothing has changed, else a new one, and announces the changes. */
  async #take(directory: TreeNode, raw: RawListing | 'same'): Promise<Snapshot<TreeNode>> {
    const { times, changes } = this.#options;
    const last = directory.directory?.snapshot;
    if (raw === 'same') {
      // The digest is dropped if an entry was removed meanwhile: then the last snapshot is out of date, so read again.
      if (!last || directory.directory?.digest === undefined)
        return await this.#take(directory, await this.#ask(directory));
      directory.observeListing(last.digest, false, Date.now(), times(directory));
      return last;
    }
    if (last && isSame(directory, last, raw)) {
      this.#entries(directory, raw, 0, raw.attributes?.length ?? 0);
      directory.observeListing(last.digest, false, Date.now(), times(directory));
      return last;
    }
    // A set, as a daemon may list a name twice.
    const found = new Set<TreeNode>();
    for (let i = 0; i < raw.names.length; i += TreeLimits.slice) {
      if (i > 0) await turn();
      for (const node of this.#entries(directory, raw, i, Math.min(raw.names.length, i + TreeLimits.slice)))
        found.add(node);
    }
    // The directory may have been removed meanwhile: then discard the listing.
    if (directory.gone) throw new TreeError('stale', `gone: ${directory.path}`);
    if (last) for (const node of await this.#omitted(directory, last, found)) found.add(node);
    const nodes = [...found];
    const snapshot = await Snapshot.sliced(nodes);
    const removed = last ? this.#unlist(last, found) : [];
    const added = last ? nodes.filter((node) => !node.listed) : [];
    for (const node of nodes) node.listed = true;
    const changed = added.length > 0 || removed.length > 0;
    directory.observeListing(snapshot.digest, changed, Date.now(), times(directory));
    if (changed) changes.announce({ type: 'listing', directory, added, removed });
    return snapshot;
  }

  /** The nodes of the entries from..to. Applies the attributes that came with the listing. */
  #entries(directory: TreeNode, raw: RawListing, from: number, to: number): TreeNode[] {
    const { registry, observe } = this.#options;
    const nodes: TreeNode[] = [];
    for (let i = from; i < to; i++) {
      const name = raw.names[i]!;
      const attributes = raw.attributes?.[i];
      const known = attributes && directory.children?.get(name);
      // A smaller size may result from a short answer of the daemon: leave it to a separate lookup.
      if (!attributes || (known?.attributes && attributes.size < known.attributes.size)) {
        nodes.push(registry.child(directory, name, raw.kinds[i]!));
        continue;
      }
      const node = registry.seen(directory, name, attributes.kind);
      observe(node, attributes);
      nodes.push(node);
    }
    return nodes;
  }

  /**
   * Entries that this listing lacks but that still exist, by a lookup: they are kept for a while, as the listing may have been
   * cut short. If the listing is empty, they are kept as long as they exist, as some daemons return an empty listing on errors.
   */
  async #omitted(
    directory: TreeNode,
    last: Snapshot<TreeNode>,
    present: ReadonlySet<TreeNode>,
  ): Promise<readonly TreeNode[]> {
    const missing = last.nodes.filter((node) => !present.has(node) && !node.gone);
    if (missing.length === 0) {
      this.#omittedSince.delete(directory);
      return [];
    }
    const since = this.#omittedSince.get(directory) ?? performance.now();
    this.#omittedSince.set(directory, since);
    const isBelieved = present.size > 0 && performance.now() - since >= TreeLimits.omission;
    const stay = isBelieved ? [] : await this.#stillThere(missing, present.size === 0);
    if (stay.length === 0) this.#omittedSince.delete(directory);
    return stay;
  }

  /**
   * The nodes that still exist. Stops early: if the first two batches are all gone, all count as gone; if the listing is empty
   * and one node exists, all count as existing.
   */
  async #stillThere(nodes: readonly TreeNode[], isEmpty: boolean): Promise<readonly TreeNode[]> {
    const stay: TreeNode[] = [];
    for (let at = 0; at < nodes.length; at += TreeLimits.omittedBatch) {
      const batch = nodes.slice(at, at + TreeLimits.omittedBatch);
      const answers = await Promise.all(batch.map((node) => this.#isThere(node)));
      stay.push(...batch.filter((_, i) => answers[i]));
      if (isEmpty && stay.length > 0) return nodes;
      if (stay.length === 0 && at >= TreeLimits.omittedBatch) return [];
    }
    return stay;
  }

  /** Whether the node still exists. Throws `down` if the source cannot tell. */
  async #isThere(node: TreeNode): Promise<boolean> {
    try {
      await this.#options.look(node);
      return true;
    } catch (error) {
      if (failedWith(error, 'down')) throw error;
      return !isAbsent(error);
    }
  }

  #unlist(last: Snapshot<TreeNode>, present: ReadonlySet<TreeNode>): TreeNode[] {
    const removed = last.nodes.filter((node) => !present.has(node));
    for (const node of removed) {
      node.listed = false;
      if (node.gone) continue;
      this.#options.source.forget(node.path);
      this.#options.registry.remove(node);
    }
    return removed;
  }

  // -- Background refresh ------------------------------------------------------------------------------------------------

  /** A directory is in use if it is requested again after a second or more. A scan requests each one only once. */
  #use(directory: TreeNode, now: number): void {
    const { directory: state } = directory;
    if (!state) return;
    const first = state.usedOnce;
    if (first === undefined || now - first > TreeLimits.inUse) {
      state.usedOnce = now;
      return;
    }
    if (now - first < TreeLimits.listingFresh && !this.#inUse.has(directory)) return;
    if (now - (this.#inUse.get(directory) ?? Number.NEGATIVE_INFINITY) < TreeLimits.listingFresh) return;
    this.#inUse.delete(directory);
    this.#inUse.set(directory, now);
    this.#observations.begin(directory);
    if (this.#inUse.size <= TreeLimits.directoriesInUse) return;
    for (const oldest of this.#inUse.keys()) {
      this.#noLongerInUse(oldest);
      break;
    }
  }

  #noLongerInUse(directory: TreeNode): void {
    this.#inUse.delete(directory);
    this.#observations.end(directory);
  }

  /** The source reports a change: reads the directory again soon, at most once per `toldDelay`. */
  #changed(directory: TreeNode): void {
    if (this.#told.has(directory)) return;
    this.#told.add(directory);
    setTimeout(() => {
      this.#told.delete(directory);
      if (!this.#closed) this.refreshSoon(directory);
    }, TreeLimits.toldDelay).unref();
  }

  #schedule(): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      void this.#refreshDue().finally(() => this.#schedule());
    }, TreeLimits.refreshInterval).unref();
  }

  /** Refreshes watched directories, then recently used ones, up to `refreshBatch`. */
  async #refreshDue(): Promise<void> {
    const { availability } = this.#options;
    const now = performance.now();
    const due: TreeNode[] = [];
    const consider = (directory: TreeNode) => {
      if (due.length >= TreeLimits.refreshBatch || directory.gone || this.isFresh(directory, now)) return;
      if (availability.isLive(directory.path) && !due.includes(directory)) due.push(directory);
    };
    for (const directory of this.#watched.keys()) consider(directory);
    for (const [directory, usedAt] of [...this.#inUse].reverse()) {
      if (directory.gone || now - usedAt > TreeLimits.inUse) this.#noLongerInUse(directory);
      else if (directory.directory) consider(directory);
    }
    const all = Promise.all(due.map((directory) => this.#refresh(directory).catch(() => undefined)));
    // A hung directory delays the next round no longer than this.
    await withPatience(all, TreeLimits.refreshPatience, undefined);
  }
}

/** How long a listing stays fresh, in ms: longer if it takes long to read. */
const freshFor = (cost: number) =>
  Math.max(
    TreeLimits.listingFresh,
    cost,
    Math.min(TreeLimits.listingStale, cost * TreeLimits.listingCostFactor),
  );

/** Whether the names are those of the last listing. Kinds are only hints and are ignored. */
function isSame(directory: TreeNode, last: Snapshot<TreeNode>, raw: RawListing): boolean {
  const { children } = directory;
  if (!children || last.length > raw.names.length) return false;
  if (last.length === raw.names.length) return raw.names.every((name) => children.get(name)?.listed);
  // More names than entries: there may be duplicates.
  const names = new Set(raw.names);
  if (names.size !== last.length) return false;
  for (const name of names) if (!children.get(name)?.listed) return false;
  return true;
}
