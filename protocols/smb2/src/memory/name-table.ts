/** A case-preserving namespace in a deterministic order, with lookups with and without regard to case. */
import { foldName } from '../names/fold.ts';

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Listing order: by folded name, then by exact name. Compares UTF-16 units, so it does not depend on a locale. */
export const compareNames = (a: string, b: string): number =>
  compare(foldName(a), foldName(b)) || compare(a, b);

export class NameTable<T> {
  private readonly exact = new Map<string, T>();
  /** Spellings of each folded name, in listing order. */
  private readonly spellings = new Map<string, string[]>();
  private sorted: readonly string[] | undefined;

  get size(): number {
    return this.exact.size;
  }

  get(name: string): T | undefined {
    return this.exact.get(name);
  }

  /** The stored spelling: an exact match, else the first in listing order that differs only in case. */
  spelling(name: string, caseSensitive: boolean): string | undefined {
    if (this.exact.has(name)) return name;
    return caseSensitive ? undefined : this.spellings.get(foldName(name))?.[0];
  }

  find(name: string, caseSensitive: boolean): T | undefined {
    const spelling = this.spelling(name, caseSensitive);
    return spelling === undefined ? undefined : this.exact.get(spelling);
  }

  set(name: string, value: T): void {
    if (!this.exact.has(name)) {
      const folded = foldName(name);
      const spellings = [...(this.spellings.get(folded) ?? []), name].sort(compare);
      this.spellings.set(folded, spellings);
      this.sorted = undefined;
    }
    this.exact.set(name, value);
  }

  delete(name: string): void {
    if (!this.exact.delete(name)) return;
    this.sorted = undefined;
    const folded = foldName(name);
    const left = this.spellings.get(folded)?.filter((spelling) => spelling !== name) ?? [];
    if (left.length === 0) this.spellings.delete(folded);
    else this.spellings.set(folded, left);
  }

  values(): IterableIterator<T> {
    return this.exact.values();
  }

  /** All names in listing order. The array never changes: a later change of the table makes a new one. */
  names(): readonly string[] {
    this.sorted ??= [...this.spellings.keys()]
      .sort(compare)
      .flatMap((folded) => this.spellings.get(folded) ?? []);
    return this.sorted;
  }
}
