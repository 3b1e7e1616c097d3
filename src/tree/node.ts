/**
 * One object of an export, found by path. The same object is the same reference for as long as it is remembered.
 *
 * A node holds what is known; the modules that find it out are the only ones to change it: looks.ts attributes, listings.ts
 * listings, registry.ts the place among the others, pins.ts the pins.
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

/** What is known of a directory's contents. */
export interface DirectoryState {
  snapshot: Snapshot<TreeNode>;
  /** Milliseconds of performance.now(). */
  listedAt: number;
  /** How long the last reading took. */
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
  /** Whether the parent's present snapshot holds it. */
  listed = false;
  /** What a look has said; before the first one, what the directory said, which is a hint. */
  kind: Kind;
  /** True once a healthy source said that it is gone; another object may live at its path now. */
  gone = false;
  /** Users who want the reference to stay the same. */
  pins = 0;
  attributes: Attributes | undefined;
  /** performance.now() of the last look. */
  attributesAt = Number.NEGATIVE_INFINITY;
  /** The look that is under way. */
  looking: Promise<Attributes> | undefined;
  children: Map<ByteString, TreeNode> | undefined;
  directory: DirectoryState | undefined;
  listing: Promise<Snapshot<TreeNode>> | undefined;
  #raw: RawAttributes | undefined;
  #times: ObservedTimes | undefined;
  /** Survives the listing itself, so that a directory's times do not move when it is merely forgotten. */
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

  /** Whether a look has ever been at it; before, `kind` is only a hint. */
  get wasSeen(): boolean {
    return this.#raw !== undefined;
  }

  /** Digest of the names of its last listing; 0 before the first. */
  get listingDigest(): number {
    return this.#listed.digest;
  }

  /** Milliseconds since 1970 of the last change of its listing that was seen. */
  get listingChangedAt(): number | undefined {
    return this.#listed.changedAt;
  }

  /** Whether its own times are the clock's, so that those of its entries stand for them. */
  get followsClock(): boolean {
    return this.#times?.followsClock ?? false;
  }

  /** Whether its times are only the clock's: neither its own nor those of any entry are known. */
  get isTimeless(): boolean {
    return this.followsClock && this.#listed.newest === undefined;
  }

  /** Whether another look may tell that its time is the clock's. */
  isSuspect(wallClock: number): boolean {
    return this.#times?.isSuspect(wallClock) ?? false;
  }

  /** Takes in what the source says of it now; true when the object was really changed since the last look. */
  observe(raw: RawAttributes, wallClock: number, now: number, policy: TimesPolicy): boolean {
    let changed: boolean;
    if (this.#times?.policy === policy) changed = this.#times.observe(raw, wallClock);
    else {
      // Something is mounted there now, or nothing any more: another object.
      changed = this.#times !== undefined;
      this.#times = new ObservedTimes(raw, wallClock, policy, !this.parent);
    }
    this.kind = raw.kind;
    this.#raw = raw;
    this.attributesAt = now;
    this.#renew(policy);
    return changed;
  }

  /** Takes in a listing that was read; the directory's times move only if it `changed` since the last one. */
  observeListing(digest: number, changed: boolean, wallClock: number, policy: TimesPolicy): void {
    const known = this.#listed.digest !== 0;
    if (known && !changed && digest === this.#listed.digest) return;
    if (known) this.#times?.listingChanged();
    this.#listed = { ...this.#listed, digest, changedAt: known ? wallClock : this.#listed.changedAt };
    this.#renew(policy);
  }

  /** Takes in the times of its entries. */
  observeEntries(newest: Time, oldest: Time, policy: TimesPolicy): void {
    this.#listed = { ...this.#listed, newest, oldest };
    this.#renew(policy);
  }

  /** What another process needs to answer for this object while the source is away; undefined if it was never seen. */
  get saved(): SavedNode | undefined {
    if (!this.#raw || !this.#times) return undefined;
    const { mode, uid, gid, size, used, rdev } = this.#raw;
    return { raw: [mode, uid, gid, size, used, rdev], times: this.#times.saved };
  }

  /** Takes in what an earlier process had saved. It answers while the source is away, and is asked for again after. */
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
    // The same object as long as nothing moved: adapters keep what they made of it.
    if (!this.attributes || !sameAttributes(this.attributes, next)) this.attributes = next;
  }
}
