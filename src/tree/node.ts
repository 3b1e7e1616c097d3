/**
 * One object of an export, identified by its path. While it is in memory, there is one TreeNode for it.
 *
 * A node only stores data. Each part is changed by one module: attributes by looks.ts, listings by listings.ts, the place in
 * the tree by registry.ts, pins by pins.ts.
 */
import type { RawAttributes } from '../source/raw.ts';
import {
  ObservedTimes,
  normalise,
  sameAttributes,
  type ListingTimes,
  type SavedTimes,
} from './attributes.ts';
import type { Attributes, Kind, Time, TimesPolicy } from './contract.ts';
import { encodeHandle } from './handle.ts';
import type { HashHalves, Identity } from './identity.ts';
import type { ByteString } from './names.ts';
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
  /** Ms that the last reading took. */
  cost: number;
}

export class TreeNode {
  readonly identity: Identity;
  readonly parent: TreeNode | undefined;
  readonly name: ByteString;
  readonly path: ByteString;
  readonly depth: number;
  readonly nameHash: HashHalves;
  readonly pathHash: HashHalves;
  /** Node id: unsigned 32-bit halves of a 63-bit number, never zero. */
  idHigh: number;
  idLow: number;
  /** Place in the parent's listing; 0 until it was listed. */
  cookie = 0;
  /** Whether the parent's current snapshot contains it. */
  listed = false;
  /** The kind from the last lookup; before the first one, the kind from the listing, which is only a hint. */
  kind: Kind;
  /** True once a healthy source has said that it is gone. Another object may be at its path now. */
  gone = false;
  /** Number of users that need this node to stay in memory. */
  pins = 0;
  attributes: Attributes | undefined;
  /** performance.now() of the last lookup. */
  attributesAt = Number.NEGATIVE_INFINITY;
  /** The running lookup, if any. */
  looking: Promise<Attributes> | undefined;
  children: Map<ByteString, TreeNode> | undefined;
  directory: DirectoryState | undefined;
  listing: Promise<Snapshot<TreeNode>> | undefined;
  #raw: RawAttributes | undefined;
  #times: ObservedTimes | undefined;
  /** Kept when the listing is dropped from memory, so that the directory's times stay the same. */
  #listed: ListingTimes = { digest: 0, changedAt: undefined, newest: undefined, oldest: undefined };
  #handle: Buffer | undefined;

  constructor(identity: Identity, parent: TreeNode | undefined, name: ByteString, kind: Kind) {
    this.identity = identity;
    this.parent = parent;
    this.name = name;
    this.path = parent ? `${parent.path}/${name}` : '';
    this.depth = parent ? parent.depth + 1 : 0;
    this.nameHash = identity.nameHash(name);
    this.pathHash = identity.pathHash(this.path);
    this.idHigh = this.pathHash.high;
    this.idLow = this.pathHash.low;
    this.kind = kind;
  }

  /** The 63-bit node id: NFS fileid, SMB file id. */
  get id(): bigint {
    return (BigInt(this.idHigh) << 32n) | BigInt(this.idLow);
  }

  /** Canonical file handle bytes. */
  get handle(): Buffer {
    return (this.#handle ??= encodeHandle(this.identity, this));
  }

  /** Whether it was ever looked up. Before that, `kind` is only a hint. */
  get wasSeen(): boolean {
    return this.#raw !== undefined;
  }

  /** Digest of the names in its last listing; 0 before the first. */
  get listingDigest(): number {
    return this.#listed.digest;
  }

  /** Milliseconds since 1970 of the last change of its listing that was seen. */
  get listingChangedAt(): number | undefined {
    return this.#listed.changedAt;
  }

  /** Whether its own time follows the clock, so that those of its entries are used instead. */
  get followsClock(): boolean {
    return this.#times?.followsClock ?? false;
  }

  /** The modification time as reported, be it believed or not, unless it is known to be the clock's. */
  get contentTime(): Time | undefined {
    return this.#times?.contentTime;
  }

  /** Whether it has no usable time: its own follows the clock, and those of its entries are not known. */
  get isTimeless(): boolean {
    return this.followsClock && this.#listed.newest === undefined;
  }

  /** Whether another lookup may show that its time follows the clock. */
  isSuspect(wallClock: number): boolean {
    return this.#times?.isSuspect(wallClock) ?? false;
  }

  /** Applies the result of a lookup. True if the object has really changed since the last one. */
  observe(raw: RawAttributes, wallClock: number, now: number, policy: TimesPolicy): boolean {
    let changed: boolean;
    if (this.#times?.policy === policy) changed = this.#times.observe(raw, wallClock);
    else {
      // A mount has appeared or disappeared there: it is another object.
      changed = this.#times !== undefined;
      this.#times = new ObservedTimes(raw, wallClock, policy, !this.parent);
    }
    this.kind = raw.kind;
    this.#raw = raw;
    this.attributesAt = now;
    this.#renew(policy);
    return changed;
  }

  /** Applies a listing. The directory's times change only if the listing has `changed` since the last one. */
  observeListing(digest: number, changed: boolean, wallClock: number, policy: TimesPolicy): void {
    const known = this.#listed.digest !== 0;
    if (known && !changed && digest === this.#listed.digest) return;
    if (known) this.#times?.listingChanged();
    this.#listed = { ...this.#listed, digest, changedAt: known ? wallClock : this.#listed.changedAt };
    this.#renew(policy);
  }

  /** Applies the times of its newest and oldest entry. */
  observeEntries(newest: Time, oldest: Time, policy: TimesPolicy): void {
    this.#listed = { ...this.#listed, newest, oldest };
    this.#renew(policy);
  }

  /** The data that another process needs to answer for this object while the source is absent; undefined if never seen. */
  get saved(): SavedNode | undefined {
    if (!this.#raw || !this.#times) return undefined;
    const { mode, uid, gid, size, used, rdev } = this.#raw;
    return { raw: [mode, uid, gid, size, used, rdev], times: this.#times.saved };
  }

  /** Applies data that an earlier process has saved. It is used while the source is absent, and then refreshed. */
  resume(
    { raw: [mode, uid, gid, size, used, rdev], times }: SavedNode,
    policy: TimesPolicy,
    changedAt?: number,
  ): void {
    if (this.#raw) return;
    const mtime = { seconds: times[0], nanoseconds: times[1] };
    const all = { mtime, ctime: mtime, atime: mtime, birth: undefined };
    this.#raw = { kind: this.kind, mode, uid, gid, size, used, rdev, links: 1, ...all };
    this.#times = new ObservedTimes(this.#raw, Date.now(), policy);
    this.#times.resume(times);
    this.#listed = { ...this.#listed, changedAt };
    this.#renew(policy);
  }

  #renew(policy: TimesPolicy): void {
    if (!this.#raw || !this.#times) return;
    const next = normalise(this.#raw, this.#times, this.#listed, policy);
    // Keep the same object if nothing has changed: protocol adapters cache what they derive from it.
    if (!this.attributes || !sameAttributes(this.attributes, next)) this.attributes = next;
  }
}
