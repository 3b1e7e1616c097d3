/** Edit distance. Two swapped neighbouring characters count as one edit. */
function distance(one: string, other: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: other.length + 1 }, (_, i) => i);
  for (let i = 1; i <= one.length; i++) {
    const row = [i];
    for (let j = 1; j <= other.length; j++) {
      const same = one[i - 1] === other[j - 1];
      let best = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1])
        best = Math.min(best, beforeLast[j - 2]! + 1);
      row.push(best);
    }
    beforeLast = last;
    last = row;
  }
  return last[other.length]!;
}

/** The candidate that is nearest to a mistyped word: at most a third of the word and at most 3 characters may differ. */
export function closest(word: string, candidates: Iterable<string>): string | undefined {
  // The comparison takes quadratic time, and no known word is that long.
  if (word.length > 64) return undefined;
  const written = word.toLowerCase();
  let best: string | undefined;
  let least = Math.min(3, Math.max(1, Math.floor(word.length / 3))) + 1;
  for (const candidate of candidates) {
    const found = distance(written, candidate.toLowerCase());
    if (found < least) [best, least] = [candidate, found];
  }
  return best;
}
