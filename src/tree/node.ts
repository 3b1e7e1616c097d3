/**
 * One object of an export, identified by its path. While it is in memory, there is one TreeNode for it.
 *
 * A node only stores data. Each part is changed by one module: attributes by looks.ts, listings by listings.ts, the place in
 * the tree by registry.ts, pins by pins.ts.
 */
import type { RawAttributes } from '../source/raw.ts';
import {
  ObservedTimes,
  ctimeStamp,
  isUnmoved,
  normalise,
  physicalOf,
  rdevOf,
  sameAttributes,
  type ListingTimes,
  type Physical,
  type SavedTimes,
} from './attributes.ts';
import type { Attributes, Kind, Time, TimesPolicy } from './contract.ts';
import { encodeHandle } from './handle.ts';
import type { HashHalves, Identity } from './identity.ts';
import type { ByteString } from './names.ts';
import { RecentlyMade } from './recently-made.ts';
import type { Snapshot } from './snapshot.ts';

export interface SavedNode {
  /** mode, uid, gid, size, used, rdev. */
  readonly raw: readonly [number, number, number, number, number, number];
  readonly times: SavedTimes;
}

/** The last listing of a directory. */
export interface DirectoryState {
  snapshot: Snapshot<TreeNode>;
  /** Milliseconds of performance.now(). */
  listedAt: number;
  /** How long the last reading took, in ms. */
  cost: number;
  /** Digest of the source's listing (see RawListing), if the snapshot has exactly its entries. */
  digest: string | undefined;
  /** performance.now() of the first request within the last `TreeLimits.inUse`. */
  usedOnce: number | undefined;
  /** Replaced when an entry of the snapshot changes: see TreeNode.edition. */
  edition: object | undefined;
}

const handles = new RecentlyMade<TreeNode, Buffer>();
const paths = new RecentlyMade<TreeNode, ByteString>();

/** Shared by all objects that were never listed, which are most. */
const unlisted: ListingTimes = { digest: 0, changedAt: undefined, newest: undefined, oldest: undefined };

/** Milliseconds since 1970. Times are stored as offsets from it, so that V8 can keep them as small integers. */
const epoch = Date.now();

/** As there are very many nodes, numbers are small integers where possible, and rarely used values are computed on demand. */
export class TreeNode {
  readonly identity: Identity;
  readonly parent: TreeNode | undefined;
  readonly name: ByteString;
  readonly depth: number;
  /** Whether the parent's current snapshot contains it. */
  listed = false;
  /** The kind from the last lookup; before the first one, the kind from the listing, which is only a hint. */
  kind: Kind;
  /** True once a healthy source has said that it is gone. Another object may be at its path now. */
  gone = false;
  /** Number of users that need this node to stay in memory. */
  pins = 0;
  #attributes: Attributes | undefined;
  /** The running lookup, if any. */
  looking: Promise<Attributes> | undefined;
  children: Map<ByteString, TreeNode> | undefined;
  directory: DirectoryState | undefined;
  listing: Promise<Snapshot<TreeNode>> | undefined;
  /** Halves of hashes and of the id, as signed numbers. */
  readonly #nameHigh: number;
  readonly #nameLow: number;
  #idHigh: number;
  #idLow: number;
  /** Set only if it differs from the id. */
  #pathHash: HashHalves | undefined;
  /** performance.now() of the last lookup, rounded down. */
  #lookedAt = never;
  /** Time of the first lookup, in milliseconds after `epoch`. */
  #firstSeen = 0;
  /** ctimeStamp of the last look; `never` before the first of this process. */
  #ctime = never;
  /** Undefined while it can be recreated from `attributes`: all lookups so far have agreed, and isPlain holds. */
  #times: ObservedTimes | undefined;
  /** Kept when the listing is dropped from memory, so that the directory's times stay the same. */
  #listed = unlisted;
  #wasSeen = false;

  constructor(identity: Identity, parent: TreeNode | undefined, name: ByteString, kind: Kind) {
    this.identity = identity;
    this.parent = parent;
    this.name = name;
    this.depth = parent ? parent.depth + 1 : 0;
    const nameHash = identity.nameHash(name);
    this.#nameHigh = nameHash.high | 0;
    this.#nameLow = nameHash.low | 0;
    const pathHash = identity.pathHash(pathOf(this));
    this.#idHigh = pathHash.high | 0;
    this.#idLow = pathHash.low | 0;
    this.kind = kind;
  }

  get attributes(): Attributes | undefined {
    return this.#attributes;
  }

  /** Replaces the attributes. */
  show(attributes: Attributes): void {
    this.#attributes = attributes;
    this.parent?.entryChanged();
  }

  /**
   * While this is the same object, the entries of the snapshot and their attributes are the same. Undefined if the directory is
   * not listed.
   */
  get edition(): object | undefined {
    const { directory } = this;
    return directory && (directory.edition ??= {});
  }

  /** An entry has other attributes, or is gone. */
  entryChanged(): void {
    if (this.directory) this.directory.edition = undefined;
  }

  get path(): ByteString {
    return paths.get(this, pathOf);
  }

  get nameHash(): HashHalves {
    return { high: this.#nameHigh >>> 0, low: this.#nameLow >>> 0 };
  }

  get pathHash(): HashHalves {
    return this.#pathHash ?? { high: this.idHigh, low: this.idLow };
  }

  /** Node id: unsigned 32-bit halves of a 63-bit number, never zero. */
  get idHigh(): number {
    return this.#idHigh >>> 0;
  }

  get idLow(): number {
    return this.#idLow >>> 0;
  }

  /** Gives the node another id, as another node already has its path hash as id. */
  renumber({ high, low }: HashHalves): void {
    this.#pathHash = this.pathHash;
    this.#idHigh = high | 0;
    this.#idLow = low | 0;
  }

  /** The 63-bit node id: NFS fileid, SMB file id. */
  get id(): bigint {
    return (BigInt(this.idHigh) << 32n) | BigInt(this.idLow);
  }

  /** Canonical file handle bytes. */
  get handle(): Buffer {
    return handles.get(this, handleOf);
  }

  /** Whether it was ever looked up. Before that, `kind` is only a hint. */
  get wasSeen(): boolean {
    return this.#wasSeen;
  }

  /** performance.now() of the last lookup; -Infinity before the first. */
  get attributesAt(): number {
    return this.#lookedAt === never ? Number.NEGATIVE_INFINITY : this.#lookedAt;
  }

  /** Digest of the names in its last listing; 0 before the first. */
  get listingDigest(): number {
    return this.#listed.digest;
  }

  /** Milliseconds since 1970 of the last change of its listing that was seen. */
  get listingChangedAt(): number | undefined {
    return this.#listed.changedAt;
  }

  /** Whether its own time follows the clock, so that its entries' times are used instead. */
  get followsClock(): boolean {
    return this.#times?.followsClock ?? false;
  }

  /** The mtime that the source reports, even if clients are shown another; but not if it is known to follow the clock. */
  get contentTime(): Time | undefined {
    if (!this.#wasSeen) return undefined;
    return this.#times ? this.#times.contentTime : this.attributes?.mtime;
  }

  /** Whether it has no usable time: its own follows the clock, and its entries' times are not known. */
  get isTimeless(): boolean {
    return this.followsClock && this.#listed.newest === undefined;
  }

  /** Times of its newest and its oldest entry, if they were collected. */
  get entryTimes(): Pick<ListingTimes, 'newest' | 'oldest'> {
    return this.#listed;
  }

  /** Whether another lookup may show that its time follows the clock. */
  isSuspect(wallClock: number): boolean {
    return this.#times?.isSuspect(wallClock) ?? false;
  }

  /** Applies the result of a lookup. True if the object has really changed since the last one. */
  observe(raw: RawAttributes, wallClock: number, now: number, policy: TimesPolicy): boolean {
    this.kind = raw.kind;
    this.#lookedAt = Math.floor(now);
    const stamp = ctimeStamp(raw);
    const ctimeMoved = this.#ctime !== never && this.#ctime !== stamp;
    this.#ctime = stamp;
    const last = this.#wasSeen ? this.attributes : undefined;
    if (!last) {
      this.#wasSeen = true;
      this.#firstSeen = Math.floor(wallClock) - epoch;
      const times = new ObservedTimes(raw, wallClock, policy, !this.parent);
      if (!times.isPlain(raw)) this.#times = times;
      this.#renew(raw, times, policy);
      return false;
    }
    if (!this.#times && !ctimeMoved && policy === 'auto' && isUnmoved(last, raw)) return false;
    const known = this.#times ?? this.#timesOf(last, 'auto');
    const isSame = known.policy === policy;
    // With another policy a mount has appeared or disappeared there: it is another object.
    const times = (this.#times = isSame ? known : new ObservedTimes(raw, wallClock, policy, !this.parent));
    const changed = isSame ? times.observe(raw, wallClock, ctimeMoved) : true;
    this.#renew(raw, times, policy);
    return changed;
  }

  /** Recreates the observed times from attributes that have not changed since the first lookup. */
  #timesOf(last: Attributes, policy: TimesPolicy): ObservedTimes {
    const raw = { ...physicalOf(last), mtime: last.mtime, ctime: last.mtime, birth: last.creation };
    return new ObservedTimes(raw, epoch + this.#firstSeen, policy, !this.parent);
  }

  /** Applies a listing. The directory's times change only if the listing has `changed` since the last one. */
  observeListing(digest: number, changed: boolean, wallClock: number, policy: TimesPolicy): void {
    const known = this.#listed.digest !== 0;
    if (known && !changed && digest === this.#listed.digest) return;
    if (known) this.#times?.listingChanged();
    this.#listed = { ...this.#listed, digest, changedAt: known ? wallClock : this.#listed.changedAt };
    this.#renewListed(policy);
  }

  /** Applies the times of its newest and oldest entry. */
  observeEntries(newest: Time, oldest: Time, policy: TimesPolicy): void {
    this.#listed = { ...this.#listed, newest, oldest };
    this.#renewListed(policy);
  }

  /** The data that another process needs to answer for this object while the source is absent; undefined if never seen. */
  get saved(): SavedNode | undefined {
    const known = this.#wasSeen ? this.attributes : undefined;
    if (!known) return undefined;
    const { mode, uid, gid, size, used } = known;
    const times = this.#times ?? this.#timesOf(known, 'auto');
    return { raw: [mode, uid, gid, size, used, rdevOf(known)], times: times.saved };
  }

  /** Applies data that an earlier process has saved. It is used while the source is absent, and then refreshed. */
  resume(
    { raw: [mode, uid, gid, size, used, rdev], times }: SavedNode,
    policy: TimesPolicy,
    changedAt?: number,
  ): void {
    if (this.#wasSeen) return;
    this.#wasSeen = true;
    const mtime = { seconds: times[0], nanoseconds: times[1] };
    const all = { mtime, ctime: mtime, atime: mtime, birth: undefined };
    const raw = { kind: this.kind, mode, uid, gid, size, used, rdev, links: 1, ...all };
    this.#times = new ObservedTimes(raw, Date.now(), policy);
    this.#times.resume(times);
    this.#listed = { ...this.#listed, changedAt };
    this.#renew(raw, this.#times, policy);
  }

  /** The times of a directory follow its listing. */
  #renewListed(policy: TimesPolicy): void {
    const known = this.#wasSeen ? this.attributes : undefined;
    if (known) this.#renew(physicalOf(known), this.#times ?? this.#timesOf(known, policy), policy);
  }

  #renew(raw: Physical, times: ObservedTimes, policy: TimesPolicy): void {
    const next = normalise(raw, times, this.#listed, policy);
    // Keep the same object if nothing has changed: protocol adapters cache what they derive from it.
    if (!this.#attributes || !sameAttributes(this.#attributes, next)) this.show(next);
  }
}

/** Value of `#lookedAt` before the first lookup. */
const never = -1;

const pathOf = ({ parent, name }: TreeNode): ByteString => (parent ? `${parent.path}/${name}` : '');
const handleOf = (node: TreeNode): Buffer => encodeHandle(node.identity, node);
