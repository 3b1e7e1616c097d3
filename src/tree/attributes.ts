/** Turns the source's raw attributes into those that clients see. Only this module does so. */
import type { RawAttributes } from '../source/raw.ts';
import type { Attributes, Time, TimesPolicy } from './contract.ts';

/** Seconds and nanoseconds of mtime, the same of creation, last change (ms since 1970 or null), whether it follows the clock. */
export type SavedTimes = readonly [number, number, number, number, number | null, 0 | 1];

/** A time that follows the clock lags by less than this: kernels cache FUSE attributes for a shorter time. In ms. */
const clockSlack = 60_000;
/** A directory's time within this distance of the first look is presumed to follow the clock, in ms. */
const presumedSlack = 2_000;
/** The presumption ends when the time has stayed the same for this long: kernels cache a name for less (1 s). In ms. */
const presumedStays = 1_500;
/** A time follows the clock once it has moved with it this many times in a row, without any other change. */
const clockHits = 2;
/** A time in the future is accepted once it has been reported for this long, in ms. */
const futureStays = 2_000;
/** A ctime this near to the mtime says nothing that the mtime does not, in ms. */
const sameMoment = 2_000;
/** A time is in the future if it is ahead of the clock by more than this, in ms. */
const aheadSlack = 1_000;

const toMs = (time: Time): number => time.seconds * 1000 + time.nanoseconds / 1e6;

/** Converts milliseconds to a time, with whole milliseconds. */
function fromMs(ms: number): Time {
  const seconds = Math.floor(ms / 1000);
  return { seconds, nanoseconds: Math.floor(ms - seconds * 1000) * 1_000_000 };
}

export const sameTime = (a: Time, b: Time): boolean =>
  a.seconds === b.seconds && a.nanoseconds === b.nanoseconds;

export const isLater = (a: Time, b: Time): boolean =>
  a.seconds > b.seconds || (a.seconds === b.seconds && a.nanoseconds > b.nanoseconds);

/** FNV-1a over numbers, reduced to less than 10^9, as it is used as the nanoseconds of a ctime. */
function digest(...values: readonly number[]): number {
  let hash = 0x811c9dc5;
  for (const value of values) {
    const whole = Math.floor(value);
    for (const half of [whole >>> 0, Math.floor(whole / 4294967296) >>> 0]) {
      hash = Math.imul(hash ^ (half & 0xffff), 0x01000193);
      hash = Math.imul(hash ^ (half >>> 16), 0x01000193);
    }
  }
  return (hash >>> 0) % 1_000_000_000;
}

/**
 * The times of one object. FUSE daemons may report "now" from getattr and the real time from lookup. But a client drops its
 * cache when a time changes, and people sort by dates. So the first time is shown at once. Later times replace it, until they
 * are found to follow the clock; from then on the shown time is kept.
 */
export class ObservedTimes {
  readonly policy: TimesPolicy;
  readonly #firstSeen: number;
  #mtime: Time;
  #creation: Time;
  #followsClock = false;
  /** A directory's time was "now" at the first look. It was then presumably not just changed, but follows the clock. */
  #isPresumed: boolean;
  readonly #presumedStays: number;
  /** How many times in a row a different time was reported that was "now". */
  #clockHits = 0;
  #candidate: Time;
  #candidateSince: number;
  #size: number;
  #changedAt: number | undefined;
  #signature: number;
  /** The source's last ctime; undefined until it was seen in this process. */
  #sourceCtime: Time | undefined;
  /** How many times in a row the ctime had moved since the last look. */
  #ctimeMoves = 0;
  #ctimeMovedAt = 0;

  /** @param isRoot a root is never looked up by name, so kernels cache its attributes for longer. */
  constructor(raw: RawAttributes, now: number, policy: TimesPolicy, isRoot = false) {
    this.#presumedStays = isRoot ? clockSlack : presumedStays;
    this.policy = policy;
    this.#firstSeen = now;
    this.#mtime = policy === 'source' ? raw.mtime : firstBelieved(raw, now);
    this.#creation = raw.birth ?? this.#mtime;
    this.#isPresumed =
      policy === 'auto' && raw.kind === 'directory' && Math.abs(toMs(raw.mtime) - now) < presumedSlack;
    this.#candidate = raw.mtime;
    this.#candidateSince = now;
    this.#size = raw.size;
    this.#signature = signatureOf(raw);
    this.#sourceCtime = raw.ctime;
  }

  get mtime(): Time {
    return this.#mtime;
  }

  /** The best known time of the last content change: the reported mtime, unless that is known to follow the clock. */
  get contentTime(): Time {
    return this.#followsClock ? this.#mtime : this.#candidate;
  }

  /** The birth time, else the first modification time that was shown. */
  get creation(): Time {
    return this.#creation;
  }

  /** Whether the reported time follows the clock, known or presumed. */
  get followsClock(): boolean {
    return this.#followsClock || this.#isPresumed;
  }

  /**
   * Whether this state can be recreated from the attributes, so that it need not be stored: after the first lookup, if the mtime
   * was accepted at once. Not for directories, whose time may follow the clock, nor with policy `source`, which needs the ctime.
   */
  isPlain({ kind, mtime }: RawAttributes): boolean {
    return this.policy === 'auto' && kind !== 'directory' && this.#mtime === mtime;
  }

  /** Whether the time may still turn out to follow the clock, as it is near to "now". */
  isSuspect(now: number): boolean {
    return (
      this.policy === 'auto' && !this.#followsClock && Math.abs(toMs(this.#candidate) - now) < clockSlack
    );
  }

  /** The state that another process needs to show the same times. */
  get saved(): SavedTimes {
    const { seconds, nanoseconds } = this.#mtime;
    const creation = this.#creation;
    const follows = this.followsClock ? 1 : 0;
    return [seconds, nanoseconds, creation.seconds, creation.nanoseconds, this.#changedAt ?? null, follows];
  }

  /** Continues with the times of an earlier process. */
  resume([seconds, nanoseconds, bornSeconds, bornNanoseconds, changedAt, follows]: SavedTimes): void {
    this.#mtime = { seconds, nanoseconds };
    this.#creation = { seconds: bornSeconds, nanoseconds: bornNanoseconds };
    this.#followsClock = follows === 1;
    this.#isPresumed = false;
    this.#changedAt = changedAt ?? undefined;
    this.#sourceCtime = undefined;
  }

  /**
   * Notes the result of a look. True if the object was really modified since the last one.
   * @param ctimeMoved whether ctimeStamp was another one at the last look.
   */
  observe(raw: RawAttributes, now: number, ctimeMoved = false): boolean {
    const resized = raw.size !== this.#size;
    const signature = signatureOf(raw);
    const isReplaced = this.policy === 'source' ? this.#isReplaced(raw) : this.#isRewritten(ctimeMoved, now);
    const changed = resized || signature !== this.#signature || isReplaced;
    this.#size = raw.size;
    this.#signature = signature;
    this.#sourceCtime = raw.ctime;
    const moved = !sameTime(raw.mtime, this.#candidate);
    if (moved) {
      this.#candidate = raw.mtime;
      this.#candidateSince = now;
    } else if (now - this.#candidateSince >= this.#presumedStays) this.#isPresumed = false;
    if (sameTime(raw.mtime, this.#mtime)) return this.#note(changed, now);
    if (this.#isBelievable(toMs(raw.mtime), resized, now)) {
      this.#mtime = raw.mtime;
      return this.#note(true, now);
    }
    if (moved && Math.abs(toMs(raw.mtime) - now) < clockSlack) this.#clockHits += 1;
    if (this.#clockHits >= clockHits) this.#followsClock = true;
    return this.#note(changed, now);
  }

  /** With policy `source`, a new ctime shows that a file was replaced by one of the same size and mtime. */
  #isReplaced({ ctime }: RawAttributes): boolean {
    return this.#sourceCtime !== undefined && !sameTime(ctime, this.#sourceCtime);
  }

  /**
   * With policy `auto` a moved ctime shows the same, as long as it does not move at every look: then it follows the clock, and
   * is believed when it has stayed put.
   */
  #isRewritten(ctimeMoved: boolean, now: number): boolean {
    if (ctimeMoved) {
      this.#ctimeMoves += 1;
      this.#ctimeMovedAt = now;
      return this.#ctimeMoves <= clockHits;
    }
    if (this.#ctimeMoves === 0 || now - this.#ctimeMovedAt < presumedStays) return false;
    const wasDoubted = this.#ctimeMoves > clockHits;
    this.#ctimeMoves = 0;
    return wasDoubted;
  }

  /** The directory's entries have changed, which explains that its time has moved. */
  listingChanged(): void {
    this.#clockHits = 0;
  }

  #isBelievable(ms: number, resized: boolean, now: number): boolean {
    if (this.policy === 'source') return true;
    const isAhead = ms > now + aheadSlack;
    // Older than the first look: the clock cannot have reported it since then.
    if (ms < this.#firstSeen - clockSlack || (resized && !isAhead)) return true;
    const stayed = now - this.#candidateSince;
    // A time that far ahead cannot follow the clock: the same time in two looks is enough.
    if (ms > now + clockSlack) return stayed >= futureStays;
    return stayed >= clockSlack && (isAhead || ms < now - clockSlack);
  }

  #note(changed: boolean, now: number): boolean {
    if (changed) this.#changedAt = now;
    return changed;
  }

  /**
   * The change attribute. Seconds: the time of the last change seen here, else the mtime. Nanoseconds: a digest of mtime, size,
   * mode and owner. So it also changes for a modification made between looks, and never without a modification.
   */
  get ctime(): Time {
    const { seconds, nanoseconds } = this.#mtime;
    return {
      seconds: this.#changedAt === undefined ? seconds : Math.floor(this.#changedAt / 1000),
      nanoseconds: digest(seconds, nanoseconds, this.#size, this.#signature),
    };
  }
}

/** The time to show at first: the mtime, unless it is in the future; then the ctime; if that is too, 1970. */
function firstBelieved(raw: RawAttributes, now: number): Time {
  if (toMs(raw.mtime) <= now + aheadSlack) return raw.mtime;
  return toMs(raw.ctime) <= now + aheadSlack ? raw.ctime : { seconds: 0, nanoseconds: 0 };
}

/** Stands for the ctime of a file as far as it is independent of the mtime; else 0. FUSE daemons often report one time as both. */
export const ctimeStamp = ({ kind, mtime, ctime }: RawAttributes): number =>
  kind !== 'file' || Math.abs(toMs(ctime) - toMs(mtime)) < sameMoment
    ? 0
    : digest(ctime.seconds, ctime.nanoseconds);

const signatureOf = (raw: RawAttributes) => digest(raw.mode, raw.uid, raw.gid);

/** The part of a directory's times that comes from its listing and entries. They change only if the listing changes. */
export interface ListingTimes {
  /** 30-bit digest of the names; 0 before the first listing. */
  readonly digest: number;
  /** Milliseconds since 1970 of the last change seen here; undefined if there was none. */
  readonly changedAt: number | undefined;
  /** mtimes of its newest and oldest entry; undefined until all entries were looked at. */
  readonly newest: Time | undefined;
  readonly oldest: Time | undefined;
}

/** The source's attributes without the times that may be replaced. */
export type Physical = Omit<RawAttributes, 'mtime' | 'ctime' | 'birth'>;

/** The source's attributes from which the given ones were made. */
export const physicalOf = (attributes: Attributes): Physical => {
  const { kind, mode, links, uid, gid, size, used, atime } = attributes;
  return { kind, mode, links, uid, gid, size, used, atime, rdev: rdevOf(attributes) };
};

/** st_rdev of a 64-bit Linux, its lower 32 bits. */
export const rdevOf = ({ rdevMajor, rdevMinor }: Attributes): number =>
  ((rdevMajor << 8) | (rdevMinor & 0xff) | ((rdevMinor & 0xfff00) << 12)) >>> 0;

/** Whether a lookup returns the same as the attributes, which were made from the first lookup. */
export const isUnmoved = (known: Attributes, raw: RawAttributes): boolean =>
  known.kind === raw.kind &&
  known.size === raw.size &&
  known.used === raw.used &&
  known.mode === raw.mode &&
  known.links === Math.max(1, raw.links) &&
  known.uid === raw.uid &&
  known.gid === raw.gid &&
  rdevOf(known) === raw.rdev &&
  sameTime(known.mtime, raw.mtime);

export function normalise(
  raw: Physical,
  times: ObservedTimes,
  listing: ListingTimes,
  policy: TimesPolicy,
): Attributes {
  const isDirectory = raw.kind === 'directory';
  const listed = isDirectory ? directoryTime(times, listing) : undefined;
  const mtime = (policy === 'auto' ? listed : undefined) ?? times.mtime;
  return {
    kind: raw.kind,
    mode: raw.mode,
    links: Math.max(isDirectory ? 2 : 1, raw.links),
    uid: raw.uid,
    gid: raw.gid,
    size: raw.size,
    used: raw.used,
    rdevMajor: (raw.rdev >>> 8) & 0xfff,
    rdevMinor: (raw.rdev & 0xff) | ((raw.rdev >>> 12) & 0xfff00),
    // The atime is not tracked: most FUSE daemons report "now" for it.
    atime: policy === 'source' ? raw.atime : mtime,
    mtime,
    ctime: listed ?? times.ctime,
    creation: (isDirectory && times.followsClock ? listing.oldest : undefined) ?? times.creation,
  };
}

/** A directory whose time follows the clock gets its newest entry's: the same after a restart and on every gateway. */
function directoryTime(times: ObservedTimes, listing: ListingTimes): Time {
  const { newest, changedAt } = listing;
  const base =
    times.followsClock && newest ? newest : changedAt === undefined ? times.mtime : fromMs(changedAt);
  return { seconds: base.seconds, nanoseconds: listing.digest };
}

export function sameAttributes(a: Attributes, b: Attributes): boolean {
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
    sameTime(a.atime, b.atime) &&
    sameTime(a.creation, b.creation)
  );
}
