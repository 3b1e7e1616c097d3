/** The default size of the cache. */
import { totalmem } from 'node:os';

const MiB = 1024 * 1024;
const least = 32 * MiB;
const most = 512 * MiB;

/**
 * A quarter of the container's memory limit. Without a limit: an eighth of the machine's memory, as other programs use it too.
 * Reply buffers and the metadata of a large library can take as much again.
 * @param limit bytes that the container may use; 0, or at least `machine`, if there is no limit.
 * @param machine bytes of memory of the machine.
 * @returns bytes: whole MiB, from 32 to 512 MiB.
 */
export function defaultBudget(limit = process.constrainedMemory(), machine = totalmem()): number {
  const part = limit > 0 && limit < machine ? limit / 4 : machine / 8;
  return Math.floor(Math.min(most, Math.max(least, part)) / MiB) * MiB;
}
