/** Sorted, disjoint ranges of bytes: what of a file is there. Ends are exclusive. */
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

  /** The first byte from `start` on that is not there. */
  firstMissing(start: number): number {
    return this.#ranges.find((range) => range.start <= start && start < range.end)?.end ?? start;
  }

  /** Where the next range begins at or after `start`; Infinity if none does. */
  nextStart(start: number): number {
    return this.#ranges.find((range) => range.start >= start)?.start ?? Infinity;
  }
}
