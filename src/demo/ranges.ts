/** Sorted, disjoint ranges: the bytes of a file that are present. Ends are exclusive. */
export class Ranges {
  #ranges: { start: number; end: number }[] = [];

  add(start: number, end: number): void {
    if (end <= start) return;
    const apart = this.#ranges.filter((range) => range.end < start || range.start > end);
    const joined = this.#ranges.filter((range) => range.end >= start && range.start <= end);
    const merged = {
      start: Math.min(start, ...joined.map((range) => range.start)),
      end: Math.max(end, ...joined.map((range) => range.end)),
    };
    this.#ranges = [...apart, merged].sort((a, b) => a.start - b.start);
  }

  /** The first missing byte at or after `start`. */
  firstMissing(start: number): number {
    return this.#ranges.find((range) => range.start <= start && start < range.end)?.end ?? start;
  }

  /** Start of the first range that begins at or after `start`; Infinity if there is none. */
  nextStart(start: number): number {
    return this.#ranges.find((range) => range.start >= start)?.start ?? Infinity;
  }
}
