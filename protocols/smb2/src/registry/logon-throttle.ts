import type { Limits } from '../limits.ts';

const MOST_ADDRESSES = 10_000;

type ThrottleLimits = Pick<Limits, 'freeLogonFailures' | 'logonIntervalMs' | 'maxWaitingLogons'>;

interface Entry {
  /** Failures that are not forgiven yet, as of `at`. */
  failures: number;
  at: number;
  /** When the last of those who wait has its turn. */
  lastTurn: number;
  waiting: number;
}

/**
 * One queue of logons for each address. A few failures are free, and one more is forgiven in each interval. Beyond that every
 * logon waits for its turn before it is looked at, right ones too: an answer that came at once would tell a guess that is right.
 */
export class LogonThrottle {
  readonly #limits: ThrottleLimits;
  readonly #now: () => number;
  readonly #entries = new Map<string, Entry>();

  constructor(limits: ThrottleLimits, now: () => number = () => performance.now()) {
    this.#limits = limits;
    this.#now = now;
  }

  /** Milliseconds until the turn of a logon that has come now; undefined: too many wait already. */
  turn(address: string): number | undefined {
    const entry = this.#entries.get(address);
    if (!entry) return 0;
    this.#forgive(entry);
    if (entry.failures < this.#limits.freeLogonFailures && entry.waiting === 0) return 0;
    if (entry.waiting >= this.#limits.maxWaitingLogons) return undefined;
    const now = this.#now();
    entry.lastTurn = Math.max(now, entry.lastTurn) + this.#limits.logonIntervalMs;
    entry.waiting++;
    return entry.lastTurn - now;
  }

  /** Somebody who waited has had the turn, or is gone. */
  turnTaken(address: string): void {
    const entry = this.#entries.get(address);
    if (entry) entry.waiting--;
  }

  failed(address: string): void {
    const entry = this.#entries.get(address) ?? { failures: 0, at: this.#now(), lastTurn: 0, waiting: 0 };
    this.#forgive(entry);
    entry.failures++;
    this.#entries.delete(address);
    this.#entries.set(address, entry);
    if (this.#entries.size <= MOST_ADDRESSES) return;
    const [oldest] = this.#entries.keys();
    if (oldest !== undefined) this.#entries.delete(oldest);
  }

  #forgive(entry: Entry): void {
    const now = this.#now();
    const forgiven = Math.floor((now - entry.at) / this.#limits.logonIntervalMs);
    entry.at += forgiven * this.#limits.logonIntervalMs;
    entry.failures = Math.max(0, Math.min(entry.failures, 2 * this.#limits.freeLogonFailures) - forgiven);
  }
}
