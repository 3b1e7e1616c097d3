/**
 * Caches a value derived from an object, for recently used objects. Stored in every object, the values would take more memory
 * than the objects themselves; computed for every request, they would be garbage.
 */
export class RecentlyMade<K extends object, V> {
  readonly #most: number;
  #young = new Map<K, V>();
  #old = new Map<K, V>();

  /** @param most values to keep: at least this many, at most twice as many. */
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
