import type { Limits } from '../limits.ts';

const MOST_ADDRESSES = 10_000;

type ThrottleLimits = Pick<Limits, 'freeLogonFailures' | 'logonIntervalMs' | 'maxWaitingLogons'>;

interface Entry {
  /** Failures not yet forgiven, as of `at`. */
  failures: number;
  at: number;
  /** When the last waiting logon gets its turn. */
  lastTurn: number;
  waiting: number;
}

/**
 * Delays logons after failures, with one queue for each address. Some failures are free, and one more is forgiven in
 * each interval. Beyond that every logon waits for its turn before it is checked, even a correct one: a fast answer
 * would reveal a correct guess.
 */
export class LogonThrottle {
  readonly #limits: ThrottleLimits;
  readonly #now: () => number;
  readonly #entries = new Map<string, Entry>();

  constructor(limits: ThrottleLimits, now: () => number = () => performance.now()) {
    this.#limits = limits;
    this.#now = now;
  }

  /** Milliseconds until a logon that arrives now gets its turn; undefined when too many wait already. */
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

  /** Called when a waiting logon got its turn or was abandoned. */
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
    // Logons that wait must find their entry again.
    for (const [oldest, { waiting }] of this.#entries) {
      if (waiting > 0) continue;
      this.#entries.delete(oldest);
      return;
    }
  }

  #forgive(entry: Entry): void {
    const now = this.#now();
    const forgiven = Math.floor((now - entry.at) / this.#limits.logonIntervalMs);
    entry.at += forgiven * this.#limits.logonIntervalMs;
    entry.failures = Math.max(0, Math.min(entry.failures, 2 * this.#limits.freeLogonFailures) - forgiven);
  }
}
