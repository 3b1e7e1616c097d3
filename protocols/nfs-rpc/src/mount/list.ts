import type { ByteString } from '../backend.ts';
import { MAX_MOUNT_CLIENTS, MAX_MOUNTS_PER_CLIENT } from '../limits.ts';

/**
 * What clients report to have mounted. Used for DUMP only; not verified. Both sizes are bounded: the oldest entries are
 * dropped.
 */
export class MountList {
  readonly #clients = new Map<string, Set<ByteString>>();

  add(address: string, path: ByteString): void {
    const paths = this.#clients.get(address) ?? new Set<ByteString>();
    moveToEnd(paths, path);
    dropOldest(paths, MAX_MOUNTS_PER_CLIENT);
    this.#clients.delete(address);
    this.#clients.set(address, paths);
    dropOldest(this.#clients, MAX_MOUNT_CLIENTS);
  }

  remove(address: string, path: ByteString): void {
    const paths = this.#clients.get(address);
    paths?.delete(path);
    if (paths?.size === 0) this.#clients.delete(address);
  }

  removeAll(address: string): void {
    this.#clients.delete(address);
  }

  entries(): { hostname: string; directory: ByteString }[] {
    return [...this.#clients].flatMap(([hostname, paths]) =>
      [...paths].map((directory) => ({ hostname, directory })),
    );
  }
}

function moveToEnd(set: Set<string>, value: string): void {
  set.delete(value);
  set.add(value);
}

function dropOldest(entries: Set<string> | Map<string, unknown>, maximum: number): void {
  for (const key of entries.keys()) {
    if (entries.size <= maximum) return;
    entries.delete(key);
  }
}
