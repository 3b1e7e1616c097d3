/** A map of objects by their 63-bit ids. Saves memory, as it needs no bigint or string key for each object. */
export interface Identified {
  readonly idHigh: number;
  readonly idLow: number;
}

export class IdTable<T extends Identified> {
  /** By the lower half of the id; an array if several ids share it. */
  readonly #byLow = new Map<number, T | T[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(high: number, low: number): T | undefined {
    const found = this.#byLow.get(low | 0);
    if (!Array.isArray(found)) return found?.idHigh === high ? found : undefined;
    return found.find(({ idHigh }) => idHigh === high);
  }

  /** Adds an object, in place of any object with the same id. */
  set(one: T): void {
    const key = one.idLow | 0;
    this.delete(this.get(one.idHigh, one.idLow));
    const found = this.#byLow.get(key);
    if (found === undefined) this.#byLow.set(key, one);
    else if (Array.isArray(found)) found.push(one);
    else this.#byLow.set(key, [found, one]);
    this.#size += 1;
  }

  /** Removes an object, unless another one has taken its id. */
  delete(one: T | undefined): void {
    if (!one || this.get(one.idHigh, one.idLow) !== one) return;
    const key = one.idLow | 0;
    const found = this.#byLow.get(key);
    const rest = Array.isArray(found) ? found.filter((other) => other !== one) : [];
    if (rest.length === 0) this.#byLow.delete(key);
    else this.#byLow.set(key, rest);
    this.#size -= 1;
  }
}
