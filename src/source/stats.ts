/** Converts Node's stats to raw attributes. Every number is brought into range, so that no value can make an encoder throw. */
import type { BigIntStats, BigIntStatsFs, Dirent } from 'node:fs';
import type { Kind, RawAttributes, SpaceUsage, Time } from './raw.ts';

const billion = 1_000_000_000n;
const safe = BigInt(Number.MAX_SAFE_INTEGER);
/** Format bits of st_mode, inode(7). */
const kindsByFormat: Readonly<Record<number, Kind>> = {
  0o010000: 'fifo',
  0o020000: 'character',
  0o040000: 'directory',
  0o060000: 'block',
  0o100000: 'file',
  0o120000: 'symlink',
  0o140000: 'socket',
};

/** A count of bytes or objects. Negative values (wrapped 64-bit numbers) and those above 2^53 become the maximum. */
const count = (value: bigint): number =>
  value < 0n || value > safe ? Number.MAX_SAFE_INTEGER : Number(value);

/** Never rounds up: a time must not be later than the source's. */
function timeOf(nanoseconds: bigint): Time {
  let seconds = nanoseconds / billion;
  let rest = nanoseconds % billion;
  if (rest < 0n) {
    rest += billion;
    seconds -= 1n;
  }
  return { seconds: Number(seconds), nanoseconds: Number(rest) };
}

export function rawAttributes(stats: BigIntStats): RawAttributes {
  const mode = Number(stats.mode);
  return {
    kind: kindsByFormat[mode & 0o170000] ?? 'unknown',
    mode: mode & 0o7777,
    links: Math.min(count(stats.nlink), 0xffffffff),
    uid: Number(stats.uid) >>> 0,
    gid: Number(stats.gid) >>> 0,
    size: count(stats.size),
    used: Math.min(count(stats.blocks) * 512, Number.MAX_SAFE_INTEGER),
    rdev: Number(stats.rdev & 0xffffffffn),
    mtime: timeOf(stats.mtimeNs),
    ctime: timeOf(stats.ctimeNs),
    atime: timeOf(stats.atimeNs),
    birth: birthOf(stats),
  };
}

/** Without a birth time, libuv and Node return 0 or the ctime. */
function birthOf({ birthtimeNs, ctimeNs }: BigIntStats): Time | undefined {
  return birthtimeNs === 0n || birthtimeNs === ctimeNs ? undefined : timeOf(birthtimeNs);
}

export function spaceUsage(stats: BigIntStatsFs): SpaceUsage {
  const bytes = (blocks: bigint) => count(BigInt.asUintN(64, blocks) * BigInt.asUintN(64, stats.bsize));
  return {
    totalBytes: bytes(stats.blocks),
    freeBytes: bytes(stats.bfree),
    availableBytes: bytes(stats.bavail),
    totalFiles: count(stats.files),
    freeFiles: count(stats.ffree),
  };
}

/** The entry's type in the directory: a hint. */
export function hintOf(entry: Dirent): Kind {
  if (entry.isDirectory()) return 'directory';
  if (entry.isFile()) return 'file';
  if (entry.isSymbolicLink()) return 'symlink';
  if (entry.isFIFO()) return 'fifo';
  if (entry.isSocket()) return 'socket';
  if (entry.isBlockDevice()) return 'block';
  if (entry.isCharacterDevice()) return 'character';
  return 'unknown';
}
