/** Directory listings: read, compared with the last one, and looked at again behind the backs of those who use them. */
import { setImmediate as turn } from 'node:timers/promises';
import { TreeError } from './errors.ts';
import type { RawListing, TreeSource } from '../source/source.ts';
import type { TimesPolicy } from './attributes.ts';
import { TreeLimits } from './limits.ts';
import type { TreeNode } from './node.ts';
import { withPatience } from './patience.ts';
import type { Registry } from './registry.ts';
import { Snapshot } from './snapshot.ts';
import type { Awaitable, ListingChange } from './tree.ts';

export interface ListingsOptions {
  readonly source: TreeSource;
  readonly registry: Registry;
  readonly times: TimesPolicy;
  readonly announce: (change: ListingChange) => void;
  /** A directory turned out to be gone. */
  readonly gone: (directory: TreeNode) => void;
}

export class Listings {
  readonly #options: ListingsOptions;
  /** How many users wait to hear of changes, by directory. */
  readonly #watched = new Map<TreeNode, number>();
  /** When each directory was last asked for, least recently first; only the latest few are looked after. */
  readonly #inUse = new Map<TreeNode, number>();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  #distrusted = Number.NEGATIVE_INFINITY;

  constructor(options: ListingsOptions) {
    this.#options = options;
    this.#schedule();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

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

  /** A listing read before this moment (performance.now()) is to be read again. */
  distrustBefore(moment: number): void {
    this.#distrusted = moment;
  }

  isFresh(directory: TreeNode, now: number): boolean {
    const state = directory.directory;
    if (!state || state.listedAt <= this.#distrusted) return false;
    return now - state.listedAt < freshFor(state.cost);
  }

  /** The listing as of about a second ago; when reading it takes long, the last one meanwhile. */
  get(directory: TreeNode): Awaitable<Snapshot> {
    const state = directory.directory;
    const now = performance.now();
    this.#use(directory, now);
    if (!state) return this.#refresh(directory);
    if (this.isFresh(directory, now)) return state.snapshot;
    return this.#refreshOrLast(directory, state.snapshot);
  }

  /** The listing as it is now; the last good one while the source is away. */
  async current(directory: TreeNode): Promise<Snapshot> {
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
      // Whoever asks for the listing hears of it.
    });
  }

  #refreshOrLast(directory: TreeNode, last: Snapshot): Promise<Snapshot> {
    const refreshed = this.#refresh(directory).catch((error: unknown) => {
      if (isAway(error)) return last;
      throw error;
    });
    return withPatience(refreshed, TreeLimits.patience, last);
  }

  #refresh(directory: TreeNode): Promise<Snapshot> {
    directory.listing ??= this.#read(directory).finally(() => (directory.listing = undefined));
    return directory.listing;
  }

  async #read(directory: TreeNode): Promise<Snapshot> {
    const begun = performance.now();
    let raw: RawListing;
    try {
      raw = await this.#options.source.readdir(directory.path);
    } catch (error) {
      if (!(error instanceof TreeError) || (error.code !== 'noent' && error.code !== 'notdir')) throw error;
      if (!directory.parent) throw new TreeError('down', 'the root does not exist', { cause: error });
      this.#options.gone(directory);
      throw new TreeError('stale', `gone: ${directory.path}`, { cause: error });
    }
    const snapshot = await this.#take(directory, raw);
    const now = performance.now();
    if (directory.gone) throw new TreeError('stale', `gone: ${directory.path}`);
    directory.directory = { snapshot, listedAt: now, cost: now - begun };
    this.#options.registry.trim();
    return snapshot;
  }

  /** The present snapshot if nothing changed, else a new one; tells what came and went. */
  async #take(directory: TreeNode, raw: RawListing): Promise<Snapshot> {
    const last = directory.directory?.snapshot;
    if (last && isSame(directory, last, raw)) {
      directory.observeListing(last.digest, false, Date.now(), this.#options.times);
      return last;
    }
    const nodes: TreeNode[] = [];
    for (let i = 0; i < raw.names.length; i++) {
      nodes.push(this.#options.registry.child(directory, raw.names[i]!, raw.kinds[i]!));
      if (i % TreeLimits.slice === TreeLimits.slice - 1) await turn();
    }
    // A directory can be removed while its entries are taken in; then nothing of it counts.
    if (directory.gone) throw new TreeError('stale', `gone: ${directory.path}`);
    const snapshot = new Snapshot(nodes);
    const removed = last ? this.#unlist(last, new Set(nodes)) : [];
    const added = last ? nodes.filter((node) => !node.listed) : [];
    for (const node of nodes) node.listed = true;
    const changed = added.length > 0 || removed.length > 0;
    directory.observeListing(snapshot.digest, changed, Date.now(), this.#options.times);
    if (changed) this.#options.announce({ type: 'listing', directory, added, removed });
    return snapshot;
  }

  #unlist(last: Snapshot, present: ReadonlySet<TreeNode>): TreeNode[] {
    const removed = last.nodes.filter((node) => !present.has(node));
    for (const node of removed) {
      node.listed = false;
      if (node.gone) continue;
      this.#options.source.forget(node.path);
      this.#options.registry.remove(node);
    }
    return removed;
  }

  // -- Behind the users' backs -------------------------------------------------------------------------------------------

  #use(directory: TreeNode, now: number): void {
    if (now - (this.#inUse.get(directory) ?? Number.NEGATIVE_INFINITY) < TreeLimits.listingFresh) return;
    this.#inUse.delete(directory);
    this.#inUse.set(directory, now);
    if (this.#inUse.size <= TreeLimits.directoriesInUse) return;
    for (const oldest of this.#inUse.keys()) {
      this.#inUse.delete(oldest);
      break;
    }
  }

  #schedule(): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      void this.#refreshDue().finally(() => this.#schedule());
    }, TreeLimits.refreshInterval).unref();
  }

  /** Directories somebody waits for, then those used lately, as many as a round allows. */
  async #refreshDue(): Promise<void> {
    if (this.#options.source.state !== 'live') return;
    const now = performance.now();
    const due: TreeNode[] = [];
    const consider = (directory: TreeNode) => {
      if (due.length >= TreeLimits.refreshBatch || directory.gone || this.isFresh(directory, now)) return;
      if (!due.includes(directory)) due.push(directory);
    };
    for (const directory of this.#watched.keys()) consider(directory);
    for (const [directory, usedAt] of [...this.#inUse].reverse()) {
      if (directory.gone || now - usedAt > TreeLimits.inUse) this.#inUse.delete(directory);
      else if (directory.directory) consider(directory);
    }
    await Promise.all(due.map((directory) => this.#refresh(directory).catch(() => undefined)));
  }
}

/** What takes long to read is read less often. */
const freshFor = (cost: number) =>
  Math.max(
    TreeLimits.listingFresh,
    cost,
    Math.min(TreeLimits.listingStale, cost * TreeLimits.listingCostFactor),
  );

const isAway = (error: unknown) =>
  error instanceof TreeError && (error.code === 'down' || error.code === 'timeout' || error.code === 'busy');

function isSame(directory: TreeNode, last: Snapshot, raw: RawListing): boolean {
  if (last.length !== raw.names.length) return false;
  for (let i = 0; i < raw.names.length; i++) {
    const node = directory.children?.get(raw.names[i]!);
    const kind = raw.kinds[i]!;
    if (!node?.listed || (kind !== 'unknown' && node.kind !== 'unknown' && node.kind !== kind)) return false;
  }
  return true;
}
