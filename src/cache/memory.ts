/** How much memory the cache takes when nobody says. */
import { totalmem } from 'node:os';

const MiB = 1024 * 1024;
const least = 32 * MiB;
const most = 512 * MiB;

/**
 * A quarter of what the container may use, or an eighth of the machine's memory where others live on it too. Buffers of replies and
 * what is known of a large library take as much again.
 * @param limit bytes that the container may use; 0, or no less than the machine has, where it is not limited.
 */
export function defaultBudget(limit = process.constrainedMemory(), machine = totalmem()): number {
  const part = limit > 0 && limit < machine ? limit / 4 : machine / 8;
  return Math.floor(Math.min(most, Math.max(least, part)) / MiB) * MiB;
}
