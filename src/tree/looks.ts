/** Attributes of objects: how fresh they must be, and what a look at the source changes. */
import type { RawAttributes, TreeSource } from '../source/source.ts';
import { isLater } from './attributes.ts';
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

const noTime: Time = { seconds: 0, nanoseconds: 0 };

export class Looks {
  readonly #options: LooksOptions;
  #refreshSecond = 0;
  #refreshes = 0;
  /** What was gathered of the entries' times of a directory, and for which listing. */
  readonly #gathered = new WeakMap<TreeNode, { readonly digest: number; readonly done: Promise<void> }>();

  constructor(options: LooksOptions) {
    this.#options = options;
  }

  /** Whether the last look is young enough, and was at the source that is there now. */
  isFresh(node: TreeNode, now: number, limit: number): boolean {
    return (
      now - node.attributesAt < limit && node.attributesAt > this.#options.availability.liveSince(node.path)
    );
  }

  /**
   * Attributes as of the last second, or the last good ones while the source is away.
   * @param listing somebody is about to list the directory: its times shall be those of the listing that is read then.
   */
  attributes(node: TreeNode, listing = false): Awaitable<Attributes> {
    const now = performance.now();
    this.#options.registry.touch(node, now);
    if (node.kind === 'directory') return this.#directoryAttributes(node, now, listing);
    if (node.attributes && !node.gone && this.isFresh(node, now, TreeLimits.attributesFresh))
      return node.attributes;
    return this.#lookAgain(node);
  }

  /** One look at the source; those who ask meanwhile share it. */
  look(node: TreeNode): Promise<Attributes> {
    node.looking ??= this.#lookNow(node).finally(() => (node.looking = undefined));
    return node.looking;
  }

  /** Takes in what a lookup has said of a node. */
  observe(node: TreeNode, raw: RawAttributes): void {
    const { source, times, changes } = this.#options;
    const changed = node.observe(raw, Date.now(), performance.now(), times(node));
    if (!changed) return;
    // A descriptor of the file that was there before would go on reading that one.
    if (node.kind === 'file') source.forget(node.path);
    changes.announce({ type: 'content', node });
  }

  /** The object is not there any more, by a live source's word. An export's root is never gone: what it stands for is. */
  vanished(node: TreeNode, error: unknown): void {
    if (!node.parent) throw new TreeError('down', 'the root does not exist', { cause: error });
    this.#options.listings.remove(node);
  }

  /**
   * A directory's times follow its listing, so that is looked at as well; not for one that was never listed, and not for
   * thousands at once, which is what `ls -l` of a large directory asks for.
   */
  #directoryAttributes(node: TreeNode, now: number, listing: boolean): Awaitable<Attributes> {
    const known = node.gone ? undefined : node.attributes;
    if (!known || !this.isFresh(node, now, TreeLimits.entryFresh)) return this.#bothOf(node, undefined);
    if (this.#options.listings.isFresh(node, now)) return known;
    if (!listing && (node.listingDigest === 0 || !this.#mayRefresh(now))) return known;
    return this.#bothOf(node, known);
  }

  /** Whether attributes alone may cause one more listing within this second. */
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
      // What cannot be listed can still have attributes.
      if (failedWith(error, 'stale', 'noent')) throw error;
    });
    // Known attributes do not wait long for a listing that was never read.
    const listed = node.attributes ? withPatience(listing, TreeLimits.patience, undefined) : listing;
    const [attributes] = await Promise.all([fresh ?? this.#lookAgain(node), listed]);
    if (node.isTimeless) await withPatience(this.gatherTimes(node), TreeLimits.datePatience, undefined);
    return node.attributes ?? attributes;
  }

  async #listed(node: TreeNode): Promise<void> {
    await this.#options.listings.get(node);
  }

  async #lookAgain(node: TreeNode): Promise<Attributes> {
    if (node.gone) throw new TreeError('stale', `gone: ${node.path}`);
    const last = node.attributes ?? (this.#options.source.holdsMount(node.path) ? unseenMount : undefined);
    try {
      const looking = this.look(node);
      return await (last ? withPatience(looking, TreeLimits.patience, last) : looking);
    } catch (error) {
      // The last good copy speaks for a source that cannot.
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
      if (!node.parent) throw new TreeError('down', 'the root is no directory');
      this.#options.listings.remove(node);
      throw new TreeError('noent', 'another object has taken its place');
    }
    this.observe(node, raw);
    return node.attributes!;
  }

  // -- Many at once --------------------------------------------------------------------------------------------------------

  /**
   * Makes the attributes of the entries from..to (exclusive) ready, and begins with those after them. One that is slow or
   * broken keeps the page no longer than the tree's patience. Throws `down` when the source is away and an entry was never
   * seen: then the listing waits, since an entry is left out only when a live source has said that it is gone.
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
    let looks: Promise<unknown>[] | undefined;
    for (let i = from; i < to; i++) {
      const node = snapshot.nodes[i]!;
      if (node.gone || (node.attributes && this.isFresh(node, now, TreeLimits.entryFresh))) continue;
      const look = this.look(node).catch((error: unknown) => {
        if (node.attributes || !failedWith(error, 'down')) return;
        // A mount that is away is listed all the same.
        if (!this.#options.source.holdsMount(node.path)) throw error;
      });
      (looks ??= []).push(look);
    }
    return looks && this.#whenLooked(looks).then(() => this.#dated(snapshot.nodes.slice(from, to)));
  }

  /** A few directories whose dates are their entries' are shown with these from the first listing on. */
  async #dated(nodes: readonly TreeNode[]): Promise<void> {
    const timeless = nodes.filter((node) => node.kind === 'directory' && node.isTimeless);
    if (timeless.length === 0 || timeless.length > TreeLimits.datesInListing) return;
    const all = Promise.all(timeless.map((node) => this.gatherTimes(node)));
    await withPatience(all, TreeLimits.datePatience, undefined);
  }

  async #whenLooked(looks: readonly Promise<unknown>[]): Promise<void> {
    // As long as entries keep coming they are waited for; what is left when none came is slow.
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

  // -- A directory whose time is the clock's --------------------------------------------------------------------------------

  /**
   * Gives such a directory the time of its newest entry: looks at the entries that were never looked at, since the listing
   * that was read last. Settles when that is done; never fails.
   */
  gatherTimes(directory: TreeNode, depth = 0): Promise<void> {
    const known = this.#gathered.get(directory);
    if (!directory.followsClock || depth > TreeLimits.gatherDepth) return Promise.resolve();
    if (known && known.digest === directory.listingDigest) return known.done;
    const done = this.#gather(directory, depth).catch(() => {
      // What could not be looked at now is looked at after the next listing.
      this.#gathered.delete(directory);
    });
    this.#gathered.set(directory, { digest: directory.listingDigest, done });
    return done;
  }

  async #gather(directory: TreeNode, depth: number): Promise<void> {
    const { listings, times } = this.#options;
    const { nodes } = directory.directory?.snapshot ?? (await listings.get(directory));
    for (let at = 0; at < nodes.length; at += TreeLimits.prefetch) {
      const unseen = nodes
        .slice(at, at + TreeLimits.prefetch)
        .filter((node) => !node.attributes && !node.gone);
      await Promise.all(unseen.map((node) => this.look(node).catch(() => undefined)));
    }
    for (const node of nodes) if (node.kind === 'directory') await this.gatherTimes(node, depth + 1);
    const range = timeRange(nodes);
    if (!range) return;
    const before = directory.attributes;
    directory.observeEntries(range.newest, range.oldest, times(directory));
    // An empty folder has no entry to stand for it; those beside it do.
    for (const node of nodes)
      if (node.kind === 'directory' && node.isTimeless)
        node.observeEntries(range.newest, range.oldest, times(node));
    // What stands for this directory may stand for the one above it.
    const { parent } = directory;
    if (directory.attributes === before || !parent || depth > 0) return;
    this.#gathered.delete(parent);
    void this.gatherTimes(parent);
  }

  /** Called after each listing: whether the time of a directory is the clock's shows only in another look. */
  listed(directory: TreeNode): void {
    if (directory.isSuspect(Date.now())) this.look(directory).catch(() => undefined);
    void this.gatherTimes(directory);
  }
}

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

/** What the source has to confirm before it is believed to have changed. */
export const knownOf = (node: TreeNode | undefined): { size: number } | undefined =>
  node && (node.wasSeen || node.listed) ? { size: node.attributes?.size ?? 0 } : undefined;

/** A client can mount, and keep its mount, before the source was ever there; and list what is beside a mount. */
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
