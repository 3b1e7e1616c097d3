import type { Limits } from '../limits.ts';

const FORGET_AFTER_MS = 15 * 60_000;
const MOST_ADDRESSES = 10_000;

/** Slows down an address whose logons keep failing. */
export class LogonThrottle {
  readonly #limits: Limits;
  readonly #failures = new Map<string, { count: number; at: number }>();

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  failed(address: string): void {
    const entry = this.#failures.get(address);
    const now = Date.now();
    const count = entry && now - entry.at < FORGET_AFTER_MS ? entry.count + 1 : 1;
    this.#failures.delete(address);
    this.#failures.set(address, { count, at: now });
    if (this.#failures.size > MOST_ADDRESSES) {
      const [oldest] = this.#failures.keys();
      if (oldest !== undefined) this.#failures.delete(oldest);
    }
  }

  succeeded(address: string): void {
    this.#failures.delete(address);
  }

  /** Milliseconds an answer to this address has to wait. */
  delay(address: string): number {
    const entry = this.#failures.get(address);
    if (!entry || Date.now() - entry.at >= FORGET_AFTER_MS) return 0;
    const over = entry.count - this.#limits.freeLogonFailures;
    return over <= 0
      ? 0
      : Math.min(this.#limits.maxLogonDelayMs, this.#limits.logonDelayMs * 2 ** Math.min(over - 1, 10));
  }
}
