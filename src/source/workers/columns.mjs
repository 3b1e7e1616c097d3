/**
 * Stores attributes as numbers in an array that threads share. Lookups by workers and by libuv's thread pool both use these two
 * functions, so that their results are the same. Every number is brought into range, so that no value of a source can make an
 * encoder throw.
 *
 * The code of workers is JavaScript, as Node 20 cannot run TypeScript and tests run from the source.
 */

/** Array elements for each object. */
export const stride = 16;

/** Index of each number. A time takes two: seconds and nanoseconds. The first is the outcome of the lookup. */
const at = {
  outcome: 0,
  mode: 1,
  links: 2,
  uid: 3,
  gid: 4,
  size: 5,
  used: 6,
  rdev: 7,
  mtime: 8,
  ctime: 10,
  atime: 12,
  birth: 14,
};

export const Outcome = { unknown: 0, answered: 1, absent: 2 };

const billion = 1_000_000_000n;
const safe = BigInt(Number.MAX_SAFE_INTEGER);

/** Format bits of st_mode, inode(7), by their value shifted to the right by 12. */
const kindsByFormat = /** @type {const} */ ({
  0o01: 'fifo',
  0o02: 'character',
  0o04: 'directory',
  0o06: 'block',
  0o10: 'file',
  0o12: 'symlink',
  0o14: 'socket',
});

/**
 * A count of bytes or objects. Negative values (wrapped 64-bit numbers) and those above 2^53 become the maximum.
 * @param {bigint} value
 */
export const count = (value) => (value < 0n || value > safe ? Number.MAX_SAFE_INTEGER : Number(value));

/**
 * Never rounds up: a time must not be later than the source's.
 * @param {Float64Array} columns
 * @param {number} place
 * @param {bigint} nanoseconds
 */
function writeTime(columns, place, nanoseconds) {
  let seconds = nanoseconds / billion;
  let rest = nanoseconds % billion;
  if (rest < 0n) {
    rest += billion;
    seconds -= 1n;
  }
  columns[place] = Number(seconds);
  columns[place + 1] = Number(rest);
}

/**
 * @param {Float64Array} columns
 * @param {number} index of the object
 * @param {import('node:fs').BigIntStats} stats
 */
export function writeAttributes(columns, index, stats) {
  const from = index * stride;
  columns[from + at.mode] = Number(stats.mode);
  columns[from + at.links] = Math.min(count(stats.nlink), 0xffffffff);
  columns[from + at.uid] = Number(stats.uid) >>> 0;
  columns[from + at.gid] = Number(stats.gid) >>> 0;
  columns[from + at.size] = count(stats.size);
  columns[from + at.used] = Math.min(count(stats.blocks) * 512, Number.MAX_SAFE_INTEGER);
  columns[from + at.rdev] = Number(stats.rdev & 0xffffffffn);
  writeTime(columns, from + at.mtime, stats.mtimeNs);
  writeTime(columns, from + at.ctime, stats.ctimeNs);
  writeTime(columns, from + at.atime, stats.atimeNs);
  // Without a birth time, libuv and Node return 0 or the ctime.
  if (stats.birthtimeNs === 0n || stats.birthtimeNs === stats.ctimeNs) columns[from + at.birth + 1] = -1;
  else writeTime(columns, from + at.birth, stats.birthtimeNs);
  columns[from] = Outcome.answered;
}

/**
 * @param {Float64Array} columns
 * @param {number} place
 */
const timeAt = (columns, place) => ({
  seconds: columns[place] ?? 0,
  nanoseconds: columns[place + 1] ?? 0,
});

/**
 * @param {Float64Array} columns
 * @param {number} index
 * @returns {import('../raw.ts').RawAttributes | undefined} undefined if the lookup did not return attributes
 */
export function readAttributes(columns, index) {
  const from = index * stride;
  if (columns[from] !== Outcome.answered) return undefined;
  const mode = columns[from + at.mode] ?? 0;
  const format = /** @type {keyof kindsByFormat} */ ((mode & 0o170000) >>> 12);
  return {
    kind: kindsByFormat[format] ?? 'unknown',
    mode: mode & 0o7777,
    links: columns[from + at.links] ?? 0,
    uid: columns[from + at.uid] ?? 0,
    gid: columns[from + at.gid] ?? 0,
    size: columns[from + at.size] ?? 0,
    used: columns[from + at.used] ?? 0,
    rdev: columns[from + at.rdev] ?? 0,
    mtime: timeAt(columns, from + at.mtime),
    ctime: timeAt(columns, from + at.ctime),
    atime: timeAt(columns, from + at.atime),
    birth: columns[from + at.birth + 1] === -1 ? undefined : timeAt(columns, from + at.birth),
  };
}
