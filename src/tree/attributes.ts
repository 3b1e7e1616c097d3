/** The source's own attributes are taken in here, in one place, and nowhere else. */
import type { RawAttributes } from '../source/raw.ts';
import type { Attributes, Time, TimesPolicy } from './contract.ts';

/** See ObservedTimes.saved: seconds and nanoseconds of mtime and creation, last change in ms since 1970, clock follower. */
export type SavedTimes = readonly [number, number, number, number, number | null, 0 | 1];

/** Longer than any kernel keeps a FUSE attribute: what follows the clock stays behind it by less than this, in ms. */
const clockSlack = 60_000;
/** A directory's time that lies within this of the first look is taken for the clock's, until it has stayed put, in ms. */
const presumedSlack = 2_000;
/** So long it has to stay put: longer than kernels keep a name without asking (1 s nearly everywhere), in ms. */
const presumedStays = 1_500;
/** So often a time has to move with the clock, while nothing else moves, before it is the clock's. */
const clockHits = 2;
/** For so long a time in the future has to be reported before it is believed, in ms. */
const futureStays = 2_000;
/** A time further ahead of the clock than this is in the future, in ms. */
const aheadSlack = 1_000;

const toMs = (time: Time): number => time.seconds * 1000 + time.nanoseconds / 1e6;

/** Whole milliseconds as a time. */
function fromMs(ms: number): Time {
  const seconds = Math.floor(ms / 1000);
  return { seconds, nanoseconds: Math.floor(ms - seconds * 1000) * 1_000_000 };
}

export const sameTime = (a: Time, b: Time): boolean =>
  a.seconds === b.seconds && a.nanoseconds === b.nanoseconds;

export const isLater = (a: Time, b: Time): boolean =>
  a.seconds > b.seconds || (a.seconds === b.seconds && a.nanoseconds > b.nanoseconds);

/** FNV-1a over numbers, to 30 bits or fewer: fills the nanoseconds of a ctime, so below 10^9. */
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
 * What is remembered of one object's times. FUSE daemons report "now" from getattr and the real time from lookup; a
 * client that is told a new time drops what it has cached, and people sort by dates. So a time is shown at once and
 * believed until it was seen to follow the clock; from then on the first one shown is kept.
 */
export class ObservedTimes {
  readonly policy: TimesPolicy;
  readonly #firstSeen: number;
  #mtime: Time;
  #creation: Time;
  #followsClock = false;
  /** A directory was changed just when it was first looked at, or its time is the clock's: the latter is far more likely. */
  #isPresumed: boolean;
  readonly #presumedStays: number;
  /** Times in a row that another time was reported, and always the present one. */
  #clockHits = 0;
  #candidate: Time;
  #candidateSince: number;
  #size: number;
  #changedAt: number | undefined;
  #signature: number;
  /** The source's ctime, where it is believed; undefined until it was seen in this process. */
  #sourceCtime: Time | undefined;

  /** @param isRoot whether no name leads to it, so that kernels keep its attributes for longer. */
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

  /** The birth time, else the modification time as it was first believed. */
  get creation(): Time {
    return this.#creation;
  }

  /** Whether what the source reports is the clock's time, as far as can be told. */
  get followsClock(): boolean {
    return this.#followsClock || this.#isPresumed;
  }

  /** Whether it may still turn out to follow the clock: it is as young as the clock's would be. */
  isSuspect(now: number): boolean {
    return (
      this.policy === 'auto' && !this.#followsClock && Math.abs(toMs(this.#candidate) - now) < clockSlack
    );
  }

  /** What another process needs to go on with the same times. */
  get saved(): SavedTimes {
    const { seconds, nanoseconds } = this.#mtime;
    const creation = this.#creation;
    const follows = this.followsClock ? 1 : 0;
    return [seconds, nanoseconds, creation.seconds, creation.nanoseconds, this.#changedAt ?? null, follows];
  }

  /** Goes on with times that an earlier process had settled on. */
  resume([seconds, nanoseconds, bornSeconds, bornNanoseconds, changedAt, follows]: SavedTimes): void {
    this.#mtime = { seconds, nanoseconds };
    this.#creation = { seconds: bornSeconds, nanoseconds: bornNanoseconds };
    this.#followsClock = follows === 1;
    this.#isPresumed = false;
    this.#changedAt = changedAt ?? undefined;
    this.#sourceCtime = undefined;
  }

  /** Takes in one more look; true when the object was really modified since the last one. */
  observe(raw: RawAttributes, now: number): boolean {
    const resized = raw.size !== this.#size;
    const signature = signatureOf(raw);
    const changed = resized || signature !== this.#signature || this.#isReplaced(raw);
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

  /** Where times are believed, ctime tells of a file that was replaced by one of the same size and mtime. */
  #isReplaced({ ctime }: RawAttributes): boolean {
    return this.policy === 'source' && this.#sourceCtime !== undefined && !sameTime(ctime, this.#sourceCtime);
  }

  /** A directory got or lost entries: that is why its time has moved. */
  listingChanged(): void {
    this.#clockHits = 0;
  }

  #isBelievable(ms: number, resized: boolean, now: number): boolean {
    if (this.policy === 'source') return true;
    const isAhead = ms > now + aheadSlack;
    // Older than our first look: it cannot have come from the clock since then.
    if (ms < this.#firstSeen - clockSlack || (resized && !isAhead)) return true;
    const stayed = now - this.#candidateSince;
    // So far ahead nothing that follows the clock is; two looks at the same are enough.
    if (ms > now + clockSlack) return stayed >= futureStays;
    return stayed >= clockSlack && (isAhead || ms < now - clockSlack);
  }

  #note(changed: boolean, now: number): boolean {
    if (changed) this.#changedAt = now;
    return changed;
  }

  /**
   * The change attribute: the second of the change if it was seen here, else of the mtime; the nanoseconds are a digest of
   * what it stands for, so that a change made while nobody looked shows as well, and nothing else does.
   */
  get ctime(): Time {
    const { seconds, nanoseconds } = this.#mtime;
    return {
      seconds: this.#changedAt === undefined ? seconds : Math.floor(this.#changedAt / 1000),
      nanoseconds: digest(seconds, nanoseconds, this.#size, this.#signature),
    };
  }
}

/** A time in the future is no date to show at once; the time of the last change may be one, else there is none yet. */
function firstBelieved(raw: RawAttributes, now: number): Time {
  if (toMs(raw.mtime) <= now + aheadSlack) return raw.mtime;
  return toMs(raw.ctime) <= now + aheadSlack ? raw.ctime : { seconds: 0, nanoseconds: 0 };
}

const signatureOf = (raw: RawAttributes) => digest(raw.mode, raw.uid, raw.gid);

/** What a directory's times come from besides its own: they move when, and only when, the listing does. */
export interface ListingTimes {
  /** 30-bit digest of the names, 0 before the first listing. */
  readonly digest: number;
  /** Milliseconds since 1970 of the last change seen here; undefined when none was. */
  readonly changedAt: number | undefined;
  /** Times of its newest and its oldest entry; undefined until all entries were looked at. */
  readonly newest: Time | undefined;
  readonly oldest: Time | undefined;
}

export function normalise(
  raw: RawAttributes,
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
    // Reading does not change anything here, and most FUSE daemons report the clock.
    atime: policy === 'source' ? raw.atime : mtime,
    mtime,
    ctime: listed ?? times.ctime,
    creation: (isDirectory && times.followsClock ? listing.oldest : undefined) ?? times.creation,
  };
}

/** A directory whose time is the clock's has its newest entry's: the same after a restart and on every gateway. */
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
