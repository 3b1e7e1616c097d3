/** Records the state changes of a source and its mounts. */
import type { HistoryStatus, StateChange } from './status.ts';

/** The most changes that are kept. */
const most = 50;

/** A change without its time. `mount` is the place of a mount below the root; undefined for the root itself. */
type Noted = Omit<StateChange, 'at'>;

export class History {
  readonly #begun = Date.now();
  /** Oldest first. */
  readonly #changes: StateChange[] = [];
  #outages = 0;
  #awayMs = 0;
  /** Date.now() when each absent mount went away. */
  readonly #away = new Map<string | undefined, number>();
  /** Date.now() of the last state change at the root. */
  #since = this.#begun;

  note(change: Noted): void {
    const at = Date.now();
    const { mount, state } = change;
    this.#changes.push({ at, ...change });
    if (this.#changes.length > most) this.#changes.shift();
    if (mount === undefined) this.#since = at;
    const awaySince = this.#away.get(mount);
    if (state === 'live') {
      if (awaySince !== undefined) this.#awayMs += at - awaySince;
      this.#away.delete(mount);
      return;
    }
    if (awaySince !== undefined) return;
    this.#away.set(mount, at);
    this.#outages += 1;
  }

  /** How many times a mount went away. */
  get outages(): number {
    return this.#outages;
  }

  get status(): HistoryStatus {
    const now = Date.now();
    const still = [...this.#away.values()].reduce((sum, since) => sum + now - since, 0);
    return {
      since: this.#since,
      outages: this.#outages,
      awaySeconds: Math.round((this.#awayMs + still) / 1000),
      changes: this.#changes.toReversed(),
    };
  }
}
