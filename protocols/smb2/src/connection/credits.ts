/** The window of message ids a client may use ([MS-SMB2] 3.3.1.1, 3.3.5.2.3). */
import { MalformedError } from '../errors.ts';

export class CreditWindow {
  /** Lowest message id not yet used. */
  #low = 0;
  /** Credits the client holds. */
  #granted = 1;
  /** Distance from `#low` to the end of the window. */
  #range = 1;
  readonly #most: number;
  #whenFew: { readonly few: number; readonly act: () => void } | undefined;
  /** Used ids within `[low, low + 2 * most)`, by id modulo its length. */
  readonly #used: Uint8Array;

  constructor(most: number) {
    this.#most = most;
    this.#used = new Uint8Array(2 * most);
  }

  get granted(): number {
    return this.#granted;
  }

  /**
   * Takes `charge` consecutive ids.
   * @throws MalformedError for ids outside the window or used before; the connection has to end.
   */
  use(messageId: number, charge: number): void {
    if (charge > this.#granted) throw new MalformedError(`credit charge ${charge} above ${this.#granted}`);
    if (messageId < this.#low || messageId + charge > this.#low + this.#range)
      throw new MalformedError(`message id ${messageId} outside the window at ${this.#low}`);
    for (let id = messageId; id < messageId + charge; id++) {
      const slot = id % this.#used.length;
      if (this.#used[slot] === 1) throw new MalformedError(`message id ${id} used twice`);
      this.#used[slot] = 1;
    }
    this.#granted -= charge;
    if (this.#whenFew && this.#granted <= this.#whenFew.few) this.#whenFew.act();
    while (this.#used[this.#low % this.#used.length] === 1) {
      this.#used[this.#low % this.#used.length] = 0;
      this.#low++;
      this.#range--;
    }
  }

  /** Calls `act` as soon as no more than `few` credits are left, and again at each request that leaves no more. */
  whenFew(few: number, act: () => void): void {
    this.#whenFew = { few, act };
    if (this.#granted <= few) act();
  }

  forgetFew(): void {
    this.#whenFew = undefined;
  }

  /** Credits to put into a reply for a client that asks for `requested`. It keeps at least one. */
  grant(requested: number): number {
    const room = Math.min(this.#most - this.#granted, this.#used.length - this.#range);
    const credits = Math.max(0, Math.min(requested, room));
    this.#granted += credits;
    this.#range += credits;
    return credits;
  }
}
