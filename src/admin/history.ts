/** The states that a source has been in. */
import type { HistoryStatus, StateChange } from './status.ts';

/** Changes that are remembered. */
const most = 50;

/** What is told of a change; `mount` is where below the root, undefined for what lies there. */
type Noted = Omit<StateChange, 'at'>;

export class History {
  readonly #begun = Date.now();
  /** The oldest first. */
  readonly #changes: StateChange[] = [];
  #outages = 0;
  #awayMs = 0;
  /** Date.now() at which each mount went away that is away. */
  readonly #away = new Map<string | undefined, number>();
  /** Since when the state of what lies at the root holds. */
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

  /** Times that a mount went away. */
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
