/** Converts Node's stats to raw attributes. Every number is brought into range, so that no value can make an encoder throw. */
import type { BigIntStats, BigIntStatsFs } from 'node:fs';
import type { RawAttributes, SpaceUsage } from './raw.ts';
import { count, readAttributes, stride, writeAttributes } from './workers/columns.mjs';

/** Columns for one object, on the main thread. */
const scratch = new Float64Array(stride);

export function rawAttributes(stats: BigIntStats): RawAttributes {
  writeAttributes(scratch, 0, stats);
  return readAttributes(scratch, 0)!;
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
