/** The window of message ids that a client may use ([MS-SMB2] 3.3.1.1, 3.3.5.2.3). */
import { MalformedError } from '../errors.ts';

export class CreditWindow {
  /** Lowest message id not yet used. */
  #low = 0;
  /** Credits that the client holds. */
  #granted = 1;
  /** Distance from `#low` to the end of the window. */
  #range = 1;
  readonly #most: number;
  #whenFew: { readonly few: number; readonly act: () => void } | undefined;
  /** Marks used ids within `[low, low + 2 * most)`, by id modulo the length. */
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
   * @throws MalformedError for ids outside the window or already used. The connection must end.
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

  /** Calls `act` when at most `few` credits are left: at once if so already, and at each request that leaves at most `few`. */
  whenFew(few: number, act: () => void): void {
    this.#whenFew = { few, act };
    if (this.#granted <= few) act();
  }

  forgetFew(): void {
    this.#whenFew = undefined;
  }

  /** Returns the credits to grant in a reply to a client that asks for `requested`. */
  grant(requested: number): number {
    const room = Math.min(this.#most - this.#granted, this.#used.length - this.#range);
    const credits = Math.max(0, Math.min(requested, room));
    this.#granted += credits;
    this.#range += credits;
    return credits;
  }
}
