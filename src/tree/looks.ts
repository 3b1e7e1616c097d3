/** Looks up attributes of objects ("looks"), decides when they must be refreshed, and applies the results. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { RawAttributes, TreeSource } from '../source/source.ts';
import { isLater, sameTime } from './attributes.ts';
import type { Availability } from './availability.ts';
import type { Changes } from './changes.ts';
import type { Attributes, Awaitable, Time } from './contract.ts';
import { TreeError } from './errors.ts';
import { failedWith, isAbsent, isAway } from './failures.ts';
import { TreeLimits } from './limits.ts';
import type { Listings } from './listings.ts';
import type { TreeNode } from './node.ts';
import { withPatience } from './patience.ts';
import type { Registry } from './registry.ts';
import type { Snapshot } from './snapshot.ts';
import type { PolicyOf } from './times-policy.ts';

export interface LooksOptions {
  readonly source: TreeSource;
  readonly registry: Registry;
  readonly listings: Listings;
  readonly availability: Availability;
  readonly times: PolicyOf;
  readonly changes: Changes;
}

/** A collection of the times of a directory's entries. */
interface Gathered {
  /** Digest of the listing that has these entries. */
  readonly digest: number;
  readonly done: Promise<void>;
  isDone: boolean;
}

const noTime: Time = { seconds: 0, nanoseconds: 0 };

export class Looks {
  readonly #options: LooksOptions;
  #refreshSecond = 0;
  #refreshes = 0;
  /** Entries that are being looked up in a batch. */
  readonly #batches = new Map<TreeNode, Promise<void>>();
  /** The last collection of entry times of each directory. */
  readonly #gathered = new WeakMap<TreeNode, Gathered>();
  /** Directories whose entry times will be collected again soon. */
  readonly #regather = new Set<TreeNode>();
  #regatherTimer: NodeJS.Timeout | undefined;
  /** performance.now() of the last client request for attributes. */
  #usedAt = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(options: LooksOptions) {
    this.#options = options;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#regatherTimer);
  }

  /** Whether the last look is younger than `limit` and was made since the mount became live. */
  isFresh(node: TreeNode, now: number, limit: number): boolean {
    return this.isRecent(node, node.attributesAt, now, limit);
  }

  /**
   * The same for other information about the node, obtained at `at` (performance.now()).
   * @param liveSince since when its mount is live, if that is known.
   */
  isRecent(node: TreeNode, at: number, now: number, limit: number, liveSince?: number): boolean {
    return now - at < limit && at > (liveSince ?? this.#options.availability.liveSince(node.path));
  }

  /**
   * Attributes that are a second old at most, or the last good ones while the source is absent.
   * @param listing the client is about to list the directory: read the listing first, so that the times match it.
   */
  attributes(node: TreeNode, listing = false): Awaitable<Attributes> {
    const now = performance.now();
    this.#usedAt = now;
    this.#options.registry.touch(node, now);
    if (node.kind === 'directory') return this.#directoryAttributes(node, now, listing);
    if (node.attributes && !node.gone && this.isFresh(node, now, TreeLimits.attributesFresh))
      return node.attributes;
    return this.#lookAgain(node);
  }

  /** Looks up the node at the source. Parallel calls share one lookup. */
  look(node: TreeNode): Promise<Attributes> {
    node.looking ??= this.#lookNow(node).finally(() => (node.looking = undefined));
    return node.looking;
  }

  /** Applies the result of a lookup to a node. */
  observe(node: TreeNode, raw: RawAttributes): void {
    const { source, times, changes } = this.#options;
    const changed = node.observe(raw, Date.now(), performance.now(), times(node));
    if (!changed) return;
    // An open descriptor may still read the old file: drop it.
    if (node.kind === 'file') source.forget(node.path);
    changes.announce({ type: 'content', node });
  }

  /** A live source says that the object is gone. For the root, the source counts as down instead. */
  vanished(node: TreeNode, error: unknown): void {
    if (!node.parent) throw new TreeError('down', 'the root does not exist', { cause: error });
    this.#options.listings.remove(node);
  }

  /**
   * A directory's times depend on its listing, so this refreshes the listing as well. Not if it was never listed, and not for
   * thousands of directories at once, as with `ls -l` of a large directory.
   */
  #directoryAttributes(node: TreeNode, now: number, listing: boolean): Awaitable<Attributes> {
    const known = node.gone ? undefined : node.attributes;
    if (!known || !this.isFresh(node, now, TreeLimits.entryFresh)) return this.#bothOf(node, undefined);
    if (this.#options.listings.isFresh(node, now)) return known;
    if (!listing && (node.listingDigest === 0 || !this.#mayRefresh(now))) return known;
    return this.#bothOf(node, known);
  }

  /** Whether a request for attributes may refresh one more listing within this second. Counts it. */
  #mayRefresh(now: number): boolean {
    const second = Math.floor(now / 1000);
    if (second !== this.#refreshSecond) {
      this.#refreshSecond = second;
      this.#refreshes = 0;
    }
    this.#refreshes += 1;
    return this.#refreshes <= TreeLimits.attributeRefreshes;
  }

  async #bothOf(node: TreeNode, fresh: Attributes | undefined): Promise<Attributes> {
    const listing = this.#listed(node).catch((error: unknown) => {
      // Attributes are available even if the directory cannot be listed.
      if (failedWith(error, 'stale', 'noent')) throw error;
    });
    // If attributes are known, do not wait long for the listing.
    const listed = node.attributes ? withPatience(listing, TreeLimits.patience, undefined) : listing;
    const [attributes] = await Promise.all([fresh ?? this.#lookAgain(node), listed]);
    await this.dated(node);
    return node.attributes ?? attributes;
  }

  async #listed(node: TreeNode): Promise<void> {
    await this.#options.listings.get(node);
  }

  /**
   * The last known attributes; for a mountpoint that was never seen, placeholders. So clients can mount before the source was
   * ever there, and can list the directory that contains the mountpoint.
   */
  #lastOf(node: TreeNode): Attributes | undefined {
    // A new object for each node: protocol adapters cache derived values by object identity.
    if (!node.attributes && this.#options.source.holdsMount(node.path)) node.show({ ...unseenMount });
    return node.attributes;
  }

  async #lookAgain(node: TreeNode): Promise<Attributes> {
    if (node.gone) throw new TreeError('stale', `gone: ${node.path}`);
    const last = this.#lastOf(node);
    try {
      const looking = this.look(node);
      return await (last ? withPatience(looking, TreeLimits.patience, last) : looking);
    } catch (error) {
      // While the source is absent, use the last good attributes.
      if (last && isAway(error)) return last;
      if (isAbsent(error)) throw new TreeError('stale', `gone: ${node.path}`, { cause: error });
      throw error;
    }
  }

  async #lookNow(node: TreeNode): Promise<Attributes> {
    let raw: RawAttributes;
    try {
      raw = await this.#options.source.lstat(node.path, knownOf(node));
    } catch (error) {
      if (isAbsent(error)) this.vanished(node, error);
      throw error;
    }
    if (node.wasSeen && raw.kind !== node.kind) {
      if (!node.parent) throw new TreeError('down', 'the root is not a directory');
      this.#options.listings.remove(node);
      throw new TreeError('noent', 'another object has taken its place');
    }
    this.observe(node, raw);
    return node.attributes!;
  }

  // -- Entries of a listing ------------------------------------------------------------------------------------------------

  /**
   * Loads the attributes of the entries from..to (exclusive), and starts to load those after them. Slow or broken entries delay
   * the page only until no other entry has been loaded for `patience`. Throws `down` if the source is absent and an entry was
   * never seen: then the listing waits, as an entry may be left out only if a live source says that it is gone.
   */
  load(snapshot: Snapshot<TreeNode>, from: number, to: number): Awaitable<void> {
    const ready = this.#loadRange(snapshot, from, to);
    const ahead = () => {
      if (to >= snapshot.length) return;
      this.#loadRange(snapshot, to, Math.min(snapshot.length, to + TreeLimits.prefetch))?.catch(
        () => undefined,
      );
    };
    if (!ready) {
      ahead();
      return undefined;
    }
    return ready.then(ahead);
  }

  #loadRange(snapshot: Snapshot<TreeNode>, from: number, to: number): Promise<void> | undefined {
    const now = performance.now();
    const liveSince = this.#liveSinceOfEntries(snapshot.nodes[from]?.parent);
    const isStale = (node: TreeNode) =>
      !node.gone &&
      !(node.attributes && this.isRecent(node, node.attributesAt, now, TreeLimits.entryFresh, liveSince));
    let stale: TreeNode[] | undefined;
    for (let i = from; i < to; i++) {
      const node = snapshot.nodes[i]!;
      if (isStale(node)) (stale ??= []).push(node);
    }
    return stale && this.#loadAll(stale, isStale).then(() => this.#allDated(snapshot.nodes.slice(from, to)));
  }

  /** Since when the mount of a directory's entries is live; undefined if they may be on several mounts. */
  #liveSinceOfEntries(directory: TreeNode | undefined): number | undefined {
    const { source, availability } = this.#options;
    if (!directory || source.holdsMount(directory.path)) return undefined;
    return availability.liveSince(directory.path);
  }

  async #loadAll(nodes: readonly TreeNode[], isStale: (node: TreeNode) => boolean): Promise<void> {
    await this.#lookAtAll(nodes);
    const looks = nodes.filter(isStale).map((node) =>
      this.look(node).catch((error: unknown) => {
        if (node.attributes || !failedWith(error, 'down')) return;
        // An absent mount is still listed.
        if (!this.#lastOf(node)) throw error;
      }),
    );
    if (looks.length > 0) await this.#whenLooked(looks);
  }

  /** Looks up entries of one directory in a batch. Entries that another batch is looking up wait for that one. */
  async #lookAtAll(nodes: readonly TreeNode[]): Promise<void> {
    const others = new Set<Promise<void>>();
    const mine: TreeNode[] = [];
    for (const node of nodes) {
      const batch = this.#batches.get(node);
      if (batch) others.add(batch);
      else if (!node.looking) mine.push(node);
    }
    // A single entry gets an ordinary lookup.
    if (mine.length > 1) {
      const batch = this.#lookAtBatch(mine).finally(() => {
        for (const node of mine) this.#batches.delete(node);
      });
      for (const node of mine) this.#batches.set(node, batch);
      others.add(batch);
    }
    if (others.size > 0) await Promise.all(others);
  }

  /** Never rejects: entries without a result are looked up one by one afterwards. */
  async #lookAtBatch(nodes: readonly TreeNode[]): Promise<void> {
    const { source, registry } = this.#options;
    const directory = nodes[0]!.parent!;
    try {
      const names = nodes.map(({ name }) => name);
      const all = await source.looks(directory.path, names, nodes.map(knownOf));
      for (const [i, raw] of all.entries()) {
        const node = nodes[i]!;
        if (!raw || node.gone || (node.wasSeen && raw.kind !== node.kind)) continue;
        this.observe(node, raw);
      }
      registry.trim();
    } catch {
      // The source is absent: the lookups of single entries will report it.
    }
  }

  /** Waits for the dates of directories that have none yet, if there are at most `datesInListing` of them. */
  async #allDated(nodes: readonly TreeNode[]): Promise<void> {
    const timeless = nodes.filter((node) => node.kind === 'directory' && node.isTimeless);
    if (timeless.length === 0 || timeless.length > TreeLimits.datesInListing) return;
    await Promise.all(timeless.map((node) => this.dated(node)));
  }

  /** If a directory's time follows the clock, waits up to `datePatience` for its first date, unless the directory is large. */
  async dated(node: TreeNode): Promise<void> {
    if (!node.isTimeless) return;
    const gathered = this.gatherTimes(node);
    if (!isLarge(node)) await withPatience(gathered, TreeLimits.datePatience, undefined);
  }

  async #whenLooked(looks: readonly Promise<unknown>[]): Promise<void> {
    // Wait while entries keep arriving. If none arrives within `patience`, the rest is slow.
    let left = looks.length;
    const all = Promise.all(
      looks.map((look) =>
        look.then(() => {
          left -= 1;
        }),
      ),
    );
    for (let before = -1; before !== left && left > 0;) {
      before = left;
      await withPatience(all, TreeLimits.patience, undefined);
    }
  }

  // -- Directories whose time follows the clock -----------------------------------------------------------------------------

  /**
   * If a directory's time follows the clock, gives it the time of its newest entry. Looks up entries without attributes first.
   * Runs once for each listing. Never rejects.
   */
  gatherTimes(directory: TreeNode, depth = 0): Promise<void> {
    const known = this.#gathered.get(directory);
    if (!directory.followsClock || depth > TreeLimits.gatherDepth) return Promise.resolve();
    if (known && known.digest === directory.listingDigest) return known.done;
    const gathered = { digest: directory.listingDigest, done: Promise.resolve(), isDone: false };
    this.#gathered.set(directory, gathered);
    gathered.done = this.#gather(directory, depth).then(
      () => {
        gathered.isDone = true;
      },
      () => {
        // Try again after the next listing.
        if (this.#gathered.get(directory) === gathered) this.#gathered.delete(directory);
      },
    );
    return gathered.done;
  }

  async #gather(directory: TreeNode, depth: number): Promise<void> {
    const { listings, times } = this.#options;
    const { nodes } = directory.directory?.snapshot ?? (await listings.get(directory));
    const isUnseen = (node: TreeNode) => !node.attributes && !node.gone;
    for (let at = 0; at < nodes.length; at += TreeLimits.prefetch) {
      const some = nodes.slice(at, at + TreeLimits.prefetch).filter(isUnseen);
      if (some.length === 0) continue;
      await this.#pauseIfLarge(directory);
      await this.#loadAll(some, isUnseen);
    }
    for (const node of nodes) {
      if (node.kind !== 'directory' || node.gone || !node.followsClock || this.#isGathered(node)) continue;
      await this.#pauseIfLarge(directory);
      await this.gatherTimes(node, depth + 1);
    }
    const range = timeRange(nodes);
    if (!range) return;
    const before = directory.attributes?.mtime;
    directory.observeEntries(range.newest, range.oldest, times(directory));
    // An empty folder has no entries: give it the times of its siblings.
    for (const node of nodes)
      if (node.kind === 'directory' && node.isTimeless)
        node.observeEntries(range.newest, range.oldest, times(node));
    this.#dateChanged(directory, before);
  }

  #isGathered(node: TreeNode): boolean {
    const known = this.#gathered.get(node);
    return known?.isDone === true && known.digest === node.listingDigest;
  }

  /** Before each step in a large directory: pauses if a client has just asked for attributes, so that clients come first. */
  async #pauseIfLarge(directory: TreeNode): Promise<void> {
    if (this.#closed) throw new TreeError('cancelled');
    if (!isLarge(directory) || performance.now() - this.#usedAt > TreeLimits.gatherPause) return;
    await sleep(TreeLimits.gatherPause, undefined, { ref: false });
  }

  /**
   * A directory's date has changed: updates its parent's date, if that follows the clock too. If the parent's times are still
   * being collected, that will find the new date.
   */
  #dateChanged(directory: TreeNode, before: Time | undefined): void {
    const { parent } = directory;
    const now = directory.attributes?.mtime;
    if (!parent?.followsClock || !now || (before && sameTime(before, now)) || !this.#isGathered(parent))
      return;
    const { newest, oldest } = parent.entryTimes;
    if (!newest || !oldest) return;
    const isNewest = isLater(now, newest);
    if (isNewest || isLater(oldest, now)) {
      const last = parent.attributes?.mtime;
      const policy = this.#options.times(parent);
      parent.observeEntries(isNewest ? now : newest, isNewest ? oldest : now, policy);
      this.#dateChanged(parent, last);
    } else if (before && (sameTime(before, newest) || sameTime(before, oldest))) this.#gatherAnew(parent);
  }

  /** The entry that gave a directory its date has changed: collects all entry times again, once for many such changes. */
  #gatherAnew(directory: TreeNode): void {
    this.#gathered.delete(directory);
    this.#regather.add(directory);
    this.#regatherTimer ??= setTimeout(() => {
      this.#regatherTimer = undefined;
      for (const node of this.#regather) void this.gatherTimes(node);
      this.#regather.clear();
    }, TreeLimits.regather).unref();
  }

  /** Called after each listing. Looks up the directory again if its time may follow the clock, and gathers entry times. */
  listed(directory: TreeNode): void {
    if (!directory.followsClock && directory.isSuspect(Date.now()))
      this.look(directory).catch(() => undefined);
    void this.gatherTimes(directory);
  }
}

/** Whether a directory has too many entries to look them all up while a client waits. */
const isLarge = (directory: TreeNode): boolean =>
  (directory.directory?.snapshot.length ?? 0) > TreeLimits.gatherAtOnce;

function timeRange(nodes: readonly TreeNode[]): { newest: Time; oldest: Time } | undefined {
  let range: { newest: Time; oldest: Time } | undefined;
  for (const node of nodes) {
    if (!node.attributes || node.gone || (node.kind === 'directory' && node.isTimeless)) continue;
    const { mtime } = node.attributes;
    range ??= { newest: mtime, oldest: mtime };
    if (isLater(mtime, range.newest)) range.newest = mtime;
    if (isLater(range.oldest, mtime)) range.oldest = mtime;
  }
  return range;
}

/** What is known of an object: the source has to confirm a change of it. Undefined if it was never seen. */
export const knownOf = (node: TreeNode | undefined): { size: number } | undefined =>
  node && (node.wasSeen || node.listed) ? { size: node.attributes?.size ?? 0 } : undefined;

/** Attributes of a mountpoint that was never seen, so that clients can mount, and list its parent, before it is there. */
const unseenMount: Attributes = {
  kind: 'directory',
  mode: 0o755,
  links: 2,
  size: 4096,
  used: 4096,
  uid: 0,
  gid: 0,
  rdevMajor: 0,
  rdevMinor: 0,
  atime: noTime,
  mtime: noTime,
  ctime: noTime,
  creation: noTime,
};
