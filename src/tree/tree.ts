/**
 * An export as both protocols see it: stable ids, attributes, listings and content, whatever the FUSE daemon does. This class
 * joins the modules that do the work.
 *
 * Methods return a value if they can, or a promise if they must ask the source. They fail with TreeError.
 */
import { BlockCache } from '../cache/block-cache.ts';
import type { CacheCounts } from '../cache/cached-file.ts';
import { ContentCache } from '../cache/content-cache.ts';
import type { ReadAheadSettings } from '../cache/limits.ts';
import type { RawAttributes, TreeSource } from '../source/source.ts';
import { Availability } from './availability.ts';
import { Changes, type TreeChange } from './changes.ts';
import { Content } from './content.ts';
import type { Attributes, Awaitable, ReadOutcome, SpaceUsage, TimesPolicy } from './contract.ts';
import { isAway } from './failures.ts';
import type { Identity } from './identity.ts';
import { TreeLimits } from './limits.ts';
import { Listings } from './listings.ts';
import { Looks } from './looks.ts';
import { Lookups } from './lookups.ts';
import type { ByteString } from './names.ts';
import type { TreeNode } from './node.ts';
import type { Held, OutageToll } from './toll.ts';
import { Pins } from './pins.ts';
import { Registry } from './registry.ts';
import { Remembered } from './remembered.ts';
import { Resolver } from './resolver.ts';
import type { Snapshot } from './snapshot.ts';
import { policyOf, type PolicyOf } from './times-policy.ts';
import { Waiters } from './waiters.ts';
import { Walks } from './walks.ts';
import { resumeWarm, warmLines } from './warm.ts';

export interface TreeOptions {
  readonly identity: Identity;
  readonly source: TreeSource;
  readonly times: TimesPolicy;
  /** Milliseconds that requests wait for an absent source before they fail. Default Infinity: until it returns. */
  readonly failAfter?: number;
  /** The content cache. Default: content is not cached. */
  readonly blocks?: BlockCache;
  /** How far to read ahead of sequential readers; undefined: depends on the source. */
  readonly readAhead?: ReadAheadSettings | undefined;
  /** For tests: the most objects in memory. */
  readonly nodes?: number;
}

export class Tree {
  readonly identity: Identity;
  /** Requests that are not answered yet. */
  readonly waiters = new Waiters();
  readonly #source: TreeSource;
  readonly #times: PolicyOf;
  readonly #registry: Registry;
  readonly #changes = new Changes();
  readonly #unsubscribe: () => void;
  readonly #availability: Availability;
  readonly #listings: Listings;
  readonly #looks: Looks;
  readonly #lookups: Lookups;
  readonly #walks: Walks;
  readonly #cache: ContentCache;
  readonly #content: Content;
  readonly #resolver: Resolver;
  readonly #pins: Pins;
  /** Totals of each mount, by the mount's place. */
  readonly #spaces = new Map<ByteString, { readonly asked: Remembered<SpaceUsage>; last?: SpaceUsage }>();

  constructor(options: TreeOptions) {
    const { identity, source, times, failAfter = Infinity, nodes } = options;
    const { blocks = new BlockCache(0), readAhead } = options;
    this.identity = identity;
    this.#source = source;
    const policy = (this.#times = policyOf(source, times));
    const changes = this.#changes;
    const registry = (this.#registry = new Registry(identity, nodes));
    const availability = (this.#availability = new Availability(source, failAfter, (base) =>
      this.#onLive(base),
    ));
    const onListed = (directory: TreeNode) => this.#looks.listed(directory);
    const look = (node: TreeNode) => this.#looks.look(node);
    const observe = (node: TreeNode, raw: RawAttributes) => this.#looks.observe(node, raw);
    const listings = (this.#listings = new Listings({
      source,
      registry,
      availability,
      times: policy,
      changes,
      onListed,
      observe,
      look,
    }));
    const looks = (this.#looks = new Looks({
      source,
      registry,
      listings,
      availability,
      times: policy,
      changes,
    }));
    const lookups = (this.#lookups = new Lookups({ source, registry, listings, looks, availability }));
    this.#walks = new Walks({
      isKnown: (directory) => listings.isFresh(directory, performance.now()),
      fetch: (directory) => lookups.readAhead(directory),
    });
    this.#cache = new ContentCache({ blocks, source, readAhead });
    this.#content = new Content({ source, looks, changes, cache: this.#cache });
    this.#resolver = new Resolver({ identity, source, registry, listings, looks, lookups });
    this.#pins = new Pins(source, looks, availability);
    this.#unsubscribe = source.onNewMount((base) => this.#covered(base));
  }

  get root(): TreeNode {
    return this.#registry.root;
  }

  /** The number of objects in memory. */
  get size(): number {
    return this.#registry.size;
  }

  close(): void {
    this.#unsubscribe();
    this.#pins.close();
    this.#availability.close();
    this.#listings.close();
    this.#looks.close();
    this.#changes.clear();
    this.#cache.close();
  }

  /** Calls back for every detected change, until the returned function is called. */
  subscribe(listener: (change: TreeChange) => void): () => void {
    return this.#changes.subscribe(listener);
  }

  /** Keeps a directory's listing fresh, to detect changes, until the returned function is called. */
  keepFresh(directory: TreeNode): () => void {
    return this.#listings.keepFresh(directory);
  }

  /** Keeps an object in memory and checks it for changes, until the returned function is called. */
  pin(node: TreeNode): () => void {
    const release = this.#pins.pin(node);
    return () => {
      release();
      if (node.pins === 0) this.#content.released(node);
    };
  }

  /** Attributes that are a second old at most, or the last good ones while the source is absent: see Looks.attributes. */
  attributes(node: TreeNode, listing = false): Awaitable<Attributes> {
    return this.#looks.attributes(node, listing);
  }

  /** The object of a valid name (see nameFault). Throws `noent` only if a live source says so. */
  lookup(directory: TreeNode, name: ByteString): Awaitable<TreeNode> {
    return this.#lookups.lookup(directory, name);
  }

  /** A listing that is about a second old at most, or the last good one while the source is absent. */
  list(directory: TreeNode): Awaitable<Snapshot<TreeNode>> {
    this.#walks.entered(directory);
    return this.#listings.get(directory);
  }

  /** Loads the attributes of the entries from..to (exclusive): see Looks.load. */
  load(snapshot: Snapshot<TreeNode>, from: number, to: number): Awaitable<void> {
    return this.#looks.load(snapshot, from, to);
  }

  /** Reads into `target` at `offset`; short only at the end of the file: see Content.read. */
  read(node: TreeNode, offset: number, target: Buffer, wanted?: () => boolean): Awaitable<ReadOutcome> {
    return this.#content.read(node, offset, target, wanted);
  }

  /** Bytes of content sent to clients, and where they came from. */
  get contentCounts(): Readonly<CacheCounts> {
    return this.#cache.counts;
  }

  readlink(node: TreeNode): Promise<ByteString> {
    return this.#content.readlink(node);
  }

  /** The object of a handle. Throws `stale` only if a live source says that it is gone, or if the handle is too deep. */
  resolve(handle: Buffer): Awaitable<TreeNode> {
    return this.#resolver.resolve(handle);
  }

  /** The object of an id (unsigned 32-bit halves), if it is in memory: an id alone is not enough to find it otherwise. */
  byId(high: number, low: number): TreeNode | undefined {
    return this.#registry.byId(high, low);
  }

  /** Totals of the file system of an object; the last good ones while its source is absent. */
  async space(node: TreeNode = this.root): Promise<SpaceUsage> {
    const { base } = this.#source.part(node.path);
    const known = this.#spaces.get(base) ?? { asked: new Remembered<SpaceUsage>() };
    this.#spaces.set(base, known);
    try {
      const space = await known.asked.get(() => this.#source.space(base));
      return (known.last = space.totalBytes === 0 ? withoutTotals(space) : space);
    } catch (error) {
      if (known.last && isAway(error)) return known.last;
      throw error;
    }
  }

  // -- Outages -----------------------------------------------------------------------------------------------------------

  /** The number of requests that wait for an absent source. */
  get waiting(): number {
    return this.#availability.waiting;
  }

  /** The number of requests that wait for the mount at this place. */
  waitingFor(base: ByteString): number {
    return this.#availability.waitingFor(base);
  }

  /** Requests that have waited for it since the last call, and that wait now: what an outage has cost. */
  toll(base: ByteString): OutageToll {
    return this.#availability.toll(base, this.waiters.all());
  }

  /** For shutdown: waiting requests are answered with a retry status at once, so that clients turn to the next gateway. */
  stopWaiting(): void {
    this.#availability.stopWaiting();
  }

  /** Repeats work on `path`, which has just failed with `down`, as soon as the source is live: see Availability.resume. */
  resume<T>(
    path: ByteString,
    work: () => Awaitable<T>,
    failure: unknown,
    timeoutMs: number,
    signal?: AbortSignal,
    request?: Held,
  ): Promise<T> {
    return this.#availability.resume(path, work, failure, timeoutMs, signal, request);
  }

  /** A mount is expected there now: forgets what was seen of the folder underneath, which must not be served in its place. */
  #covered(base: ByteString): void {
    let node: TreeNode | undefined = this.root;
    for (const name of base.split('/').slice(1)) node = node?.children?.get(name);
    if (node?.parent) this.#listings.remove(node);
    else if (node) this.#registry.clear(node);
  }

  #onLive(base: ByteString): void {
    this.#spaces.get(base)?.asked.forget();
    this.#pins.lookAtAll(base);
  }

  // -- Over restarts -----------------------------------------------------------------------------------------------------

  /** The metadata in memory, so that the next process can answer from it: see warm.ts. */
  warmLines(): AsyncGenerator<string> {
    return warmLines(this.#registry, this.identity.exportName);
  }

  /** Applies such lines, before any request. Returns the number of objects; throws if the lines are not valid. */
  resumeWarm(lines: readonly string[]): number {
    return resumeWarm(this.#registry, this.identity.exportName, lines, this.#times);
  }
}

/** For a source without totals: with a size of 0, df, Finder and Explorer would show a full disk. */
const withoutTotals = (space: SpaceUsage): SpaceUsage => ({
  ...space,
  totalBytes: TreeLimits.unknownSpace,
  freeBytes: TreeLimits.unknownSpace,
  availableBytes: TreeLimits.unknownSpace,
});
