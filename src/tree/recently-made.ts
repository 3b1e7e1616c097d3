/**
 * What was made of an object, for the few that were asked for lately: kept for every object it would take more memory than the
 * objects themselves, and made anew for every request it would be garbage.
 */
export class RecentlyMade<K extends object, V> {
  readonly #most: number;
  #young = new Map<K, V>();
  #old = new Map<K, V>();

  /** @param most at least so many are kept, and at most twice as many. */
  constructor(most = 512) {
    this.#most = most;
  }

  get(key: K, make: (key: K) => V): V {
    let value = this.#young.get(key);
    if (value !== undefined) return value;
    value = this.#old.get(key) ?? make(key);
    if (this.#young.size >= this.#most) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, value);
    return value;
  }
}
