/** One object of an export, found by path. The same object is the same reference for as long as it is remembered. */
import type { Kind, RawAttributes } from '../source/source.ts';
import {
  ObservedTimes,
  normalise,
  type Attributes,
  type SavedTimes,
  type TimesPolicy,
} from './attributes.ts';
import { encodeHandle } from './handle.ts';
import type { HashHalves, Identity, Time } from './identity.ts';
import type { ByteString } from './names.ts';
import type { Snapshot } from './snapshot.ts';

export interface SavedNode {
  /** mode, uid, gid, size, used, rdev. */
  readonly raw: readonly [number, number, number, number, number, number];
  readonly times: SavedTimes;
}

/** What is known of a directory's contents. */
export interface DirectoryState {
  snapshot: Snapshot;
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
  listing: Promise<Snapshot> | undefined;
  /** Survive the listing itself, so that a directory's times do not move when it is merely forgotten. */
  listingDigest = 0;
  listingChangedAt: number | undefined;
  #raw: RawAttributes | undefined;
  #times: ObservedTimes | undefined;
  #handle: Buffer | undefined;
  #creation: Time | undefined;

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

  get creation(): Time {
    return (this.#creation ??= this.identity.creationTime(this.path));
  }

  /** Takes in what the source says of it now; true when the object was really changed since the last look. */
  observe(raw: RawAttributes, wallClock: number, now: number, policy: TimesPolicy): boolean {
    let changed = false;
    if (this.#times) changed = this.#times.observe(raw, wallClock);
    else this.#times = new ObservedTimes(raw, this.creation, wallClock, policy);
    this.kind = raw.kind;
    this.#raw = raw;
    this.attributesAt = now;
    this.#renew(policy);
    return changed;
  }

  /** Takes in a listing that was read; the directory's times move only if it `changed` since the last one. */
  observeListing(digest: number, changed: boolean, wallClock: number, policy: TimesPolicy): void {
    const known = this.listingDigest !== 0;
    if (known && !changed && digest === this.listingDigest) return;
    if (known) this.listingChangedAt = wallClock;
    this.listingDigest = digest;
    this.#renew(policy);
  }

  /** What another process needs to answer for this object while the source is away; undefined if it was never seen. */
  get saved(): SavedNode | undefined {
    if (!this.#raw || !this.#times) return undefined;
    const { mode, uid, gid, size, used, rdev } = this.#raw;
    return { raw: [mode, uid, gid, size, used, rdev], times: this.#times.saved };
  }

  /** Takes in what an earlier process had saved. It answers while the source is away, and is asked for again after. */
  resume({ raw: [mode, uid, gid, size, used, rdev], times }: SavedNode, policy: TimesPolicy): void {
    if (this.#raw) return;
    const [mtimeMs] = times;
    const stat = { mtimeMs, ctimeMs: mtimeMs, atimeMs: mtimeMs, links: 1 };
    this.#raw = { kind: this.kind, mode, uid, gid, size, used, rdev, ...stat };
    this.#times = new ObservedTimes(this.#raw, this.creation, mtimeMs, policy);
    this.#times.resume(times);
    this.#renew(policy);
  }

  #renew(policy: TimesPolicy): void {
    if (!this.#raw || !this.#times) return;
    const listing = { digest: this.listingDigest, changedAt: this.listingChangedAt };
    const next = normalise(this.#raw, this.#times, this.creation, listing, policy);
    // The same object as long as nothing moved: adapters keep what they made of it.
    if (!this.attributes || !sameAttributes(this.attributes, next)) this.attributes = next;
  }
}

const sameTime = (a: Time, b: Time) => a.seconds === b.seconds && a.nanoseconds === b.nanoseconds;

function sameAttributes(a: Attributes, b: Attributes): boolean {
  return (
    a.size === b.size &&
    a.used === b.used &&
    a.mode === b.mode &&
    a.links === b.links &&
    a.uid === b.uid &&
    a.gid === b.gid &&
    a.kind === b.kind &&
    a.rdevMajor === b.rdevMajor &&
    a.rdevMinor === b.rdevMinor &&
    sameTime(a.mtime, b.mtime) &&
    sameTime(a.ctime, b.ctime) &&
    sameTime(a.atime, b.atime)
  );
}
