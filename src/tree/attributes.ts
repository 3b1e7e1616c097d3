/** Attributes as every consumer sees them. The source's own are taken in here, in one place, and nowhere else. */
import type { Kind, RawAttributes } from '../source/source.ts';
import type { Time } from './identity.ts';

export interface Attributes {
  readonly kind: Kind;
  /** Permission bits with set-uid, set-gid and sticky. */
  readonly mode: number;
  /** Directories at least 2, everything else at least 1: SMB and NFS clients take 0 for "deleted". */
  readonly links: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly used: number;
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  readonly atime: Time;
  readonly mtime: Time;
  /** The change attribute of NFSv3: moves when, and only when, something changed. */
  readonly ctime: Time;
  readonly creation: Time;
}

/** See ObservedTimes.saved. */
export type SavedTimes = readonly [number, number | null];

/** How far the times of a source are believed. */
export type TimesPolicy = 'auto' | 'source';

/** Longer than any kernel keeps a FUSE attribute: what follows the clock stays behind it by less than this. */
const clockSlack = 60_000;

const fromMs = (ms: number): Time => {
  const seconds = Math.floor(ms / 1000);
  return {
    seconds,
    nanoseconds: Math.min(999_999_999, Math.max(0, Math.round((ms - seconds * 1000) * 1e6))),
  };
};

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
 * client that is told a new time drops what it has cached. So a time is believed when it cannot have come from
 * the clock, or when it stays put for longer than the kernel caches attributes.
 */
export class ObservedTimes {
  readonly #policy: TimesPolicy;
  readonly #firstSeen: number;
  #mtimeMs: number;
  #settled: boolean;
  #candidate: number;
  #candidateSince: number;
  #size: number;
  #changedAt: number | undefined;
  #signature: number;

  constructor(raw: RawAttributes, creation: Time, now: number, policy: TimesPolicy) {
    this.#policy = policy;
    this.#firstSeen = now;
    this.#settled = policy === 'source' || raw.mtimeMs < now - clockSlack;
    // A time that may be the clock's is replaced by one that is the same in every process.
    this.#mtimeMs = this.#settled ? raw.mtimeMs : creation.seconds * 1000;
    this.#candidate = raw.mtimeMs;
    this.#candidateSince = now;
    this.#size = raw.size;
    this.#signature = signatureOf(raw);
  }

  get mtime(): Time {
    return fromMs(this.#mtimeMs);
  }

  /** What another process needs to go on with the same times: [mtime, time of the last change or null], ms since 1970. */
  get saved(): SavedTimes {
    return [this.#mtimeMs, this.#changedAt ?? null];
  }

  /** Goes on with times that an earlier process had settled on. */
  resume([mtimeMs, changedAt]: SavedTimes): void {
    this.#mtimeMs = mtimeMs;
    this.#settled = true;
    this.#changedAt = changedAt ?? undefined;
  }

  /** Takes in one more look at a file; true when it was really modified since the last one. */
  observe(raw: RawAttributes, now: number): boolean {
    const resized = raw.size !== this.#size;
    const signature = signatureOf(raw);
    let changed = resized || signature !== this.#signature;
    this.#size = raw.size;
    this.#signature = signature;
    if (raw.mtimeMs !== this.#candidate) {
      this.#candidate = raw.mtimeMs;
      this.#candidateSince = now;
    }
    if (raw.mtimeMs === this.#mtimeMs) return this.#moved(changed, now);
    const trusted = this.#policy === 'source';
    const beforeWeLooked = raw.mtimeMs < this.#firstSeen - clockSlack;
    const stayedPut = now - this.#candidateSince >= clockSlack && raw.mtimeMs < now - clockSlack;
    if (trusted || resized || beforeWeLooked || stayedPut) {
      changed ||= this.#settled;
      this.#mtimeMs = raw.mtimeMs;
      this.#settled = true;
    }
    return this.#moved(changed, now);
  }

  #moved(changed: boolean, now: number): boolean {
    if (changed) this.#changedAt = now;
    return changed;
  }

  /**
   * The change attribute: the second of the change if it was seen here, else of the mtime; the nanoseconds are a digest of
   * what it stands for, so that a change made while nobody looked shows as well, and nothing else does.
   */
  get ctime(): Time {
    return {
      seconds: Math.floor((this.#changedAt ?? this.#mtimeMs) / 1000),
      nanoseconds: digest(this.#mtimeMs * 4096, this.#size, this.#signature),
    };
  }
}

const signatureOf = (raw: RawAttributes) => digest(raw.mode, raw.uid, raw.gid);

/** A directory's times: they move when, and only when, the listing does. */
export interface ListingTimes {
  /** 30-bit digest of the names, 0 before the first listing. */
  readonly digest: number;
  /** Milliseconds since 1970 of the last change seen here; undefined when none was. */
  readonly changedAt: number | undefined;
}

export function normalise(
  raw: RawAttributes,
  times: ObservedTimes,
  creation: Time,
  listing: ListingTimes | undefined,
  policy: TimesPolicy,
): Attributes {
  const directory = raw.kind === 'directory';
  const listed = directory && listing ? directoryTime(times, listing) : undefined;
  const mtime = (policy === 'auto' ? listed : undefined) ?? times.mtime;
  return {
    kind: raw.kind,
    mode: raw.mode,
    links: Math.max(directory ? 2 : 1, raw.links),
    uid: raw.uid,
    gid: raw.gid,
    size: raw.size,
    used: raw.used,
    rdevMajor: (raw.rdev >>> 8) & 0xfff,
    rdevMinor: (raw.rdev & 0xff) | ((raw.rdev >>> 12) & 0xfff00),
    // Reading does not change anything here, and most FUSE daemons report the clock.
    atime: policy === 'source' ? fromMs(raw.atimeMs) : mtime,
    mtime,
    ctime: listed ?? times.ctime,
    creation,
  };
}

function directoryTime(times: ObservedTimes, listing: ListingTimes): Time {
  const base = listing.changedAt === undefined ? times.mtime : fromMs(listing.changedAt);
  return { seconds: base.seconds, nanoseconds: listing.digest };
}
