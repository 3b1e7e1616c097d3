/**
 * The one filesystem contract: what both protocols see of an export. Identity, attributes, listings and content, whatever
 * the FUSE daemon behind it says and does.
 *
 * Methods answer at once where they can and with a promise where they must ask the source; they fail with TreeError.
 */
import { LRUCache } from 'lru-cache';
import { TreeError, type TreeErrorCode } from './errors.ts';
import type { RawAttributes, SourceState, SpaceUsage, TreeSource } from '../source/source.ts';
import type { Attributes, TimesPolicy } from './attributes.ts';
import { decodeHandle, pieceMatches, type DecodedHandle } from './handle.ts';
import type { Identity } from './identity.ts';
import { TreeLimits } from './limits.ts';
import { pathMax, type ByteString } from './names.ts';
import { Listings } from './listings.ts';
import type { TreeNode } from './node.ts';
import { Outage } from './outage.ts';
import { withPatience } from './patience.ts';
import { Registry } from './registry.ts';
import type { Snapshot } from './snapshot.ts';
import { Waiters } from './waiters.ts';
import { resumeWarm, warmLines } from './warm.ts';

export type Awaitable<T> = T | Promise<T>;

export interface ListingChange {
  readonly type: 'listing';
  readonly directory: TreeNode;
  readonly added: readonly TreeNode[];
  readonly removed: readonly TreeNode[];
}

export interface ContentChange {
  readonly type: 'content';
  readonly node: TreeNode;
}

export type TreeChange = ListingChange | ContentChange;

export interface TreeOptions {
  readonly identity: Identity;
  readonly source: TreeSource;
  readonly times: TimesPolicy;
  /** Milliseconds after which a source that is away makes requests fail; Infinity, the default: they wait. */
  readonly failAfter?: number;
  /** Replaced in tests: bound of remembered objects. */
  readonly nodes?: number;
}

export interface ReadOutcome {
  readonly length: number;
  readonly eof: boolean;
}

const is = (error: unknown, ...codes: TreeErrorCode[]) =>
  error instanceof TreeError && codes.includes(error.code);

export class Tree {
  readonly identity: Identity;
  readonly source: TreeSource;
  readonly times: TimesPolicy;
  /** Requests that are being answered. */
  readonly waiters = new Waiters();
  readonly #registry: Registry;
  readonly #listings: Listings;
  readonly #negatives = new LRUCache<ByteString, true>({
    max: TreeLimits.negatives,
    ttl: TreeLimits.negativeFresh,
    perf: { now: () => performance.now() },
  });
  readonly #outage = new Outage(TreeLimits.waiting);
  readonly #failAfter: number;
  /** Since when the source is away; undefined while it is live. */
  #awaySince: number | undefined;
  /** Since when it is live: what was learnt before is asked for again. */
  #liveSince = Number.NEGATIVE_INFINITY;
  /** What somebody holds open; those looked at least recently come first. */
  readonly #pinned = new Set<TreeNode>();
  readonly #watchPinned: NodeJS.Timeout;
  #refreshSecond = 0;
  #refreshes = 0;
  readonly #lookups = new Map<ByteString, Promise<TreeNode>>();
  readonly #listeners = new Set<(change: TreeChange) => void>();
  readonly #unsubscribe: () => void;
  #space: SpaceUsage | undefined;

  constructor(options: TreeOptions) {
    this.identity = options.identity;
    this.source = options.source;
    this.times = options.times;
    this.#registry = new Registry(options.identity, options.nodes);
    this.#failAfter = options.failAfter ?? Infinity;
    this.#watchPinned = setInterval(() => this.#lookAtPinned(), TreeLimits.pinnedInterval).unref();
    this.#awaySince = options.source.state === 'live' ? undefined : performance.now();
    this.#unsubscribe = options.source.onState((state) => this.#onState(state));
    this.#listings = new Listings({
      source: options.source,
      registry: this.#registry,
      times: options.times,
      announce: (change) => this.#announce(change),
      gone: (node) => this.#remove(node),
    });
  }

  get root(): TreeNode {
    return this.#registry.root;
  }

  /** Objects remembered now. */
  get size(): number {
    return this.#registry.size;
  }

  close(): void {
    clearInterval(this.#watchPinned);
    this.#unsubscribe();
    this.#listings.close();
    this.#listeners.clear();
  }

  /** Tells of every change that is found out, until the returned function is called. */
  subscribe(listener: (change: TreeChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Keeps a directory's listing looked at, as long as somebody waits to hear of its changes. */
  keepFresh(directory: TreeNode): () => void {
    return this.#listings.keepFresh(directory);
  }

  // -- Outages -----------------------------------------------------------------------------------------------------------

  #onState(state: SourceState): void {
    if (state !== 'live') {
      this.#awaySince ??= performance.now();
      return;
    }
    this.#awaySince = undefined;
    this.#liveSince = performance.now();
    this.#listings.distrustBefore(this.#liveSince);
    // What somebody holds open may have come back as something else: leases and caches depend on hearing of it.
    for (const node of this.#pinned) this.#look(node).catch(() => undefined);
    this.#outage.over();
  }

  /** Keeps the reference to an object the same, and watches it over outages, until the returned function is called. */
  pin(node: TreeNode): () => void {
    node.pins += 1;
    this.#pinned.add(node);
    let pinned = true;
    return () => {
      if (!pinned) return;
      pinned = false;
      node.pins -= 1;
      if (node.pins === 0) this.#pinned.delete(node);
    };
  }

  /**
   * A client with a lease reads from its own cache and asks for nothing: that a file has changed is found out here. So
   * many in a round, the others in the next.
   */
  #lookAtPinned(): void {
    if (this.source.state !== 'live') return;
    const now = performance.now();
    let left: number = TreeLimits.pinnedBatch;
    for (const node of [...this.#pinned].slice(0, TreeLimits.pinnedBatch * 4)) {
      this.#pinned.delete(node);
      this.#pinned.add(node);
      if (node.gone || node.kind !== 'file' || this.#isFresh(node, now, TreeLimits.attributesFresh)) continue;
      this.#look(node).catch(() => undefined);
      left -= 1;
      if (left === 0) return;
    }
  }

  /** Those who wait for a source that is away are told at once to come again, to whoever serves then. */
  stopWaiting(): void {
    this.#outage.dismiss();
  }

  /** Requests that wait for the source now. */
  get waiting(): number {
    return this.#outage.waiting;
  }

  /**
   * Does work that has just failed with `down` again as soon as the source is there, for at most `timeoutMs` (Infinity: as
   * long as it takes), and no longer than somebody waits: then it is `cancelled`. Fails as the work did last.
   */
  async resume<T>(
    work: () => Awaitable<T>,
    failure: unknown,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<T> {
    const until = performance.now() + timeoutMs;
    let last = failure;
    for (let attempt = 0; is(last, 'down'); attempt++) {
      const now = performance.now();
      const patience = this.#awaySince === undefined ? Infinity : this.#awaySince + this.#failAfter - now;
      if (patience <= 0) throw new TreeError('io', 'the source has been away for too long', { cause: last });
      const rest = Math.min(until - now, patience);
      if (rest <= 0) break;
      // A source that is live although the work says otherwise has just come back, or is just going.
      const unsure = this.source.state !== 'down';
      if (!unsure || attempt > 0) {
        const outcome = await this.#outage.wait(
          unsure ? Math.min(rest, TreeLimits.unsureWait) : rest,
          signal,
        );
        if (outcome === 'abandoned') throw new TreeError('cancelled', undefined, { cause: last });
        const again = outcome === 'live' || (outcome === 'expired' && (unsure || patience < until - now));
        if (!again) break;
      }
      try {
        return await work();
      } catch (error) {
        last = error;
      }
    }
    throw last;
  }

  // -- Attributes ------------------------------------------------------------------------------------------------------

  /**
   * Attributes as of the last second, or the last good ones while the source is away.
   * @param listing somebody is about to list the directory: its times shall be those of the listing that is read then.
   */
  attributes(node: TreeNode, listing = false): Awaitable<Attributes> {
    const now = performance.now();
    this.#registry.touch(node, now);
    if (node.kind === 'directory') return this.#directoryAttributes(node, now, listing);
    if (node.attributes && !node.gone && this.#isFresh(node, now, TreeLimits.attributesFresh))
      return node.attributes;
    return this.#lookAgain(node);
  }

  /**
   * A directory's times follow its listing, so that is looked at as well; not for one that was never listed, and not for
   * thousands at once, which is what `ls -l` of a large directory asks for.
   */
  #directoryAttributes(node: TreeNode, now: number, listing: boolean): Awaitable<Attributes> {
    const known = node.gone ? undefined : node.attributes;
    if (!known || !this.#isFresh(node, now, TreeLimits.entryFresh)) return this.#bothOf(node, undefined);
    if (this.#listings.isFresh(node, now)) return known;
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
    const listing: Promise<unknown> = Promise.resolve(this.#listings.get(node)).catch((error: unknown) => {
      // What cannot be listed can still have attributes.
      if (is(error, 'stale', 'noent')) throw error;
    });
    // Known attributes do not wait long for a listing that was never read.
    const listed = node.attributes ? withPatience(listing, TreeLimits.patience, undefined) : listing;
    const [attributes] = await Promise.all([fresh ?? this.#lookAgain(node), listed]);
    return node.attributes ?? attributes;
  }

  async #lookAgain(node: TreeNode): Promise<Attributes> {
    if (node.gone) throw new TreeError('stale', `gone: ${node.path}`);
    const last = node.attributes ?? (node.parent ? undefined : this.#unseenRoot(node));
    try {
      const looking = this.#look(node);
      return await (last ? withPatience(looking, TreeLimits.patience, last) : looking);
    } catch (error) {
      // The last good copy speaks for a source that cannot.
      if (last && is(error, 'down', 'timeout', 'busy')) return last;
      if (is(error, 'noent', 'notdir')) throw new TreeError('stale', `gone: ${node.path}`, { cause: error });
      throw error;
    }
  }

  /** A client can mount, and keep its mount, before the source was ever there. */
  #unseenRoot(root: TreeNode): Attributes {
    const { creation } = root;
    const times = { atime: creation, mtime: creation, ctime: creation, creation };
    const owner = { uid: 0, gid: 0, rdevMajor: 0, rdevMinor: 0 };
    return { kind: 'directory', mode: 0o755, links: 2, size: 4096, used: 4096, ...owner, ...times };
  }

  #look(node: TreeNode): Promise<Attributes> {
    node.looking ??= this.#lookNow(node).finally(() => (node.looking = undefined));
    return node.looking;
  }

  async #lookNow(node: TreeNode): Promise<Attributes> {
    let raw: RawAttributes;
    try {
      raw = await this.source.lstat(node.path);
    } catch (error) {
      if (is(error, 'noent', 'notdir')) this.#vanished(node, error);
      throw error;
    }
    if (node.kind !== 'unknown' && raw.kind !== node.kind) {
      if (!node.parent) throw new TreeError('down', 'the root is no directory');
      this.#remove(node);
      throw new TreeError('noent', 'another object has taken its place');
    }
    this.#observe(node, raw);
    return node.attributes!;
  }

  #observe(node: TreeNode, raw: RawAttributes): void {
    if (!node.observe(raw, Date.now(), performance.now(), this.times)) return;
    // A descriptor of the file that was there before would go on reading that one.
    if (node.kind === 'file') this.source.forget(node.path);
    this.#announce({ type: 'content', node });
  }

  #vanished(node: TreeNode, error: unknown): void {
    // An export's root is never gone: what it stands for is.
    if (!node.parent) throw new TreeError('down', 'the root does not exist', { cause: error });
    this.#remove(node);
  }

  // -- Names -----------------------------------------------------------------------------------------------------------

  /** The object of that name (a valid one: see nameFault). Throws `noent` only on a live source's word. */
  lookup(directory: TreeNode, name: ByteString): Awaitable<TreeNode> {
    if (directory.kind !== 'directory') throw new TreeError('notdir');
    if (directory.gone) throw new TreeError('stale', `gone: ${directory.path}`);
    const now = performance.now();
    this.#registry.touch(directory, now);
    const known = directory.children?.get(name);
    const fresh = known?.kind === 'directory' ? TreeLimits.entryFresh : TreeLimits.attributesFresh;
    if (known?.attributes && this.#isFresh(known, now, fresh) && this.#timesKnown(known)) return known;
    const path = `${directory.path}/${name}`;
    if (path.length >= pathMax) throw new TreeError('nametoolong');
    if (!known && this.#negatives.has(path) && this.source.state === 'live') throw new TreeError('noent');
    let pending = this.#lookups.get(path);
    if (!pending) {
      pending = this.#find(directory, name, path).finally(() => this.#lookups.delete(path));
      this.#lookups.set(path, pending);
    }
    // The last good answer, if it takes long: the object was there, and its reader will hear if it is not any more.
    if (known?.attributes) return withPatience(pending, TreeLimits.patience, known);
    return pending;
  }

  /** Whether the last look is young enough, and was at the source that is there now. */
  #isFresh(node: TreeNode, now: number, limit: number): boolean {
    return now - node.attributesAt < limit && node.attributesAt > this.#liveSince;
  }

  #timesKnown(node: TreeNode): boolean {
    return node.kind !== 'directory' || node.listingDigest !== 0;
  }

  async #find(directory: TreeNode, name: ByteString, path: ByteString): Promise<TreeNode> {
    let raw: RawAttributes;
    try {
      raw = await this.source.lstat(path);
    } catch (error) {
      const known = directory.children?.get(name);
      if (is(error, 'noent', 'notdir')) {
        this.#negatives.set(path, true);
        if (known) this.#remove(known);
      } else if (is(error, 'down', 'timeout', 'busy') && known?.attributes) return known;
      throw error;
    }
    const node = this.#registry.child(directory, name, raw.kind);
    this.#observe(node, raw);
    this.#registry.trim();
    // Seen here before it was seen in the listing: whoever looks at that should see it too.
    if (!node.listed && directory.directory) this.#listings.refreshSoon(directory);
    if (!this.#timesKnown(node)) {
      const listing: Promise<unknown> = Promise.resolve(this.#listings.get(node)).catch(() => undefined);
      await withPatience(listing, TreeLimits.patience, undefined);
    }
    return node;
  }

  #remove(node: TreeNode): void {
    const directory = node.parent;
    this.source.forget(node.path);
    this.#registry.remove(node);
    if (directory && node.listed) this.#listings.refreshSoon(directory);
  }

  // -- Listings --------------------------------------------------------------------------------------------------------

  list(directory: TreeNode): Awaitable<Snapshot> {
    if (directory.kind !== 'directory') throw new TreeError('notdir');
    if (directory.gone) throw new TreeError('stale', `gone: ${directory.path}`);
    this.#registry.touch(directory, performance.now());
    return this.#listings.get(directory);
  }

  /** Makes the attributes of the entries from..to (exclusive) ready, and begins with those after them. Never fails. */
  load(snapshot: Snapshot, from: number, to: number): Awaitable<void> {
    const ready = this.#loadRange(snapshot, from, to);
    if (to < snapshot.length) {
      const ahead = () =>
        void this.#loadRange(snapshot, to, Math.min(snapshot.length, to + TreeLimits.prefetch));
      if (ready) void ready.then(ahead);
      else ahead();
    }
    return ready;
  }

  #loadRange(snapshot: Snapshot, from: number, to: number): Promise<void> | undefined {
    const now = performance.now();
    let looks: Promise<unknown>[] | undefined;
    for (let i = from; i < to; i++) {
      const node = snapshot.nodes[i]!;
      if (node.gone || (node.attributes && this.#isFresh(node, now, TreeLimits.entryFresh))) continue;
      (looks ??= []).push(this.#look(node).catch(() => undefined));
    }
    return looks && Promise.all(looks).then(() => undefined);
  }

  // -- Content ---------------------------------------------------------------------------------------------------------

  /**
   * Reads into `target` at `offset`; short only at the end of the file. After a rejection the target may still be written to:
   * never use it again.
   */
  async read(node: TreeNode, offset: number, target: Buffer): Promise<ReadOutcome> {
    if (node.kind === 'directory') throw new TreeError('isdir');
    if (node.kind !== 'file') throw new TreeError('inval', 'not a regular file');
    let attributes = node.attributes ?? (await this.attributes(node));
    if (offset >= attributes.size) attributes = await this.attributes(node);
    else if (performance.now() - node.attributesAt > TreeLimits.readFresh)
      this.#look(node).catch(() => undefined);
    if (offset >= attributes.size || target.length === 0)
      return { length: 0, eof: offset >= attributes.size };
    const wanted = Math.min(target.length, attributes.size - offset);
    try {
      let length = 0;
      while (length < wanted) {
        const rest = length === 0 && wanted === target.length ? target : target.subarray(length, wanted);
        const got = await this.source.file(node.path).read(rest, offset + length);
        if (got === 0) break;
        length += got;
      }
      return { length, eof: length < wanted || offset + length >= attributes.size };
    } catch (error) {
      if (!is(error, 'noent', 'notdir')) throw error;
      this.#vanished(node, error);
      throw new TreeError('stale', `gone: ${node.path}`, { cause: error });
    }
  }

  async readlink(node: TreeNode): Promise<ByteString> {
    if (node.kind !== 'symlink') throw new TreeError('inval', 'not a symbolic link');
    return await this.source.readlink(node.path);
  }

  /** Totals of the filesystem; the last good ones while the source is away. */
  async space(): Promise<SpaceUsage> {
    try {
      return (this.#space = await this.source.space());
    } catch (error) {
      if (this.#space && is(error, 'down', 'timeout', 'busy')) return this.#space;
      throw error;
    }
  }

  // -- Over restarts ------------------------------------------------------------------------------------------------------

  /** The last good metadata, for an earlier answer after a restart: see warm.ts. */
  warmLines(): AsyncGenerator<string> {
    return warmLines(this.#registry, this.identity.exportName);
  }

  /** Takes in such lines before anybody is served. Returns how many objects are known; throws for lines that are not ours. */
  resumeWarm(lines: readonly string[]): number {
    return resumeWarm(this.#registry, this.identity.exportName, lines, this.times);
  }

  // -- Handles ---------------------------------------------------------------------------------------------------------

  /** The object of a handle: from memory, or by walking the tree along the pieces of its path. */
  resolve(handle: Buffer): Awaitable<TreeNode> {
    const known = this.#registry.byHandle(handle);
    if (known) return known;
    const decoded = decodeHandle(this.identity, handle);
    if (!decoded) throw new TreeError('badhandle', 'not a handle of this export');
    if (decoded.depth === 0) {
      if (handle.equals(this.root.handle)) return this.root;
      throw new TreeError('badhandle', 'not a handle of this export');
    }
    if (!decoded.walkable) throw new TreeError('stale', 'too deep to be found again');
    return this.#resolveByWalk(Buffer.from(handle), decoded);
  }

  async #resolveByWalk(handle: Buffer, decoded: DecodedHandle): Promise<TreeNode> {
    const found = await this.#walk(this.root, handle, decoded, 0);
    // Nothing of that name in any listing: gone, if the source that said so is still there.
    if (!found) {
      await this.source.confirm();
      throw new TreeError('stale', 'no such object any more');
    }
    return await this.lookup(found.parent!, found.name);
  }

  /** Depth first through every name that fits the piece at this level; nearly always there is one. */
  async #walk(
    directory: TreeNode,
    handle: Buffer,
    decoded: DecodedHandle,
    level: number,
  ): Promise<TreeNode | undefined> {
    const snapshot = await this.#listings.current(directory);
    const fitting = snapshot.nodes.filter(
      (node) => !node.gone && pieceMatches(handle, decoded.depth, level, node.nameHash),
    );
    for (const node of fitting) {
      if (level === decoded.depth - 1) {
        if (node.handle.equals(handle)) return node;
        continue;
      }
      if (node.kind === 'unknown') await this.#look(node).catch(() => undefined);
      if (node.kind !== 'directory') continue;
      const found = await this.#walk(node, handle, decoded, level + 1);
      if (found) return found;
    }
    return undefined;
  }

  #announce(change: TreeChange): void {
    for (const listener of this.#listeners) listener(change);
  }
}
