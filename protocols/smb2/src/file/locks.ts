/** Byte-range locks of one file ([MS-SMB2] 3.3.5.14, [MS-FSA] 2.1.5.8). */

/** The open that holds a lock. */
export interface LockOwner {
  /** Session of the open. On a read-only share locks apply only within their own session. */
  readonly session: object | undefined;
}

export interface RangeLock {
  readonly open: LockOwner;
  /** 64 bits: ranges up to 2^64 - 1 are valid and common. */
  readonly offset: bigint;
  readonly length: bigint;
  readonly exclusive: boolean;
}

const overlaps = (lock: RangeLock, offset: bigint, length: bigint): boolean => {
  // An empty range conflicts only when it lies strictly inside another range.
  if (length === 0n || lock.length === 0n)
    return length === 0n && lock.length === 0n
      ? false
      : length === 0n
        ? offset > lock.offset && offset < lock.offset + lock.length
        : lock.offset > offset && lock.offset < offset + length;
  return offset < lock.offset + lock.length && lock.offset < offset + length;
};

export class RangeLocks {
  #locks: RangeLock[] = [];
  readonly #onlyOwn: boolean;

  /** @param onlyOwn locks apply only within the session that holds them. */
  constructor(onlyOwn = false) {
    this.#onlyOwn = onlyOwn;
  }

  #binds({ open: holder }: RangeLock, open: LockOwner): boolean {
    return !this.#onlyOwn || holder.session === open.session;
  }

  get length(): number {
    return this.#locks.length;
  }

  countOf(open: LockOwner): number {
    return this.#locks.reduce((sum, lock) => sum + (lock.open === open ? 1 : 0), 0);
  }

  /** Returns a lock that conflicts with a new one, if any. */
  conflict(open: LockOwner, offset: bigint, length: bigint, exclusive: boolean): RangeLock | undefined {
    // A shared lock may overlap an exclusive one of the same open. An exclusive lock never overlaps another lock.
    return this.#locks.find(
      (lock) =>
        (exclusive || (lock.exclusive && lock.open !== open)) &&
        this.#binds(lock, open) &&
        overlaps(lock, offset, length),
    );
  }

  add(lock: RangeLock): void {
    this.#locks.push(lock);
  }

  /** Removes one lock with exactly this range, preferably an exclusive one. */
  remove(open: LockOwner, offset: bigint, length: bigint): boolean {
    const matches = (lock: RangeLock): boolean =>
      lock.open === open && lock.offset === offset && lock.length === length;
    let index = this.#locks.findIndex((lock) => lock.exclusive && matches(lock));
    if (index < 0) index = this.#locks.findIndex(matches);
    if (index < 0) return false;
    this.#locks.splice(index, 1);
    return true;
  }

  removeAll(open: LockOwner): boolean {
    const before = this.#locks.length;
    if (before === 0) return false;
    this.#locks = this.#locks.filter((lock) => lock.open !== open);
    return this.#locks.length !== before;
  }

  /** Whether `open` may read or write these bytes. Its own locks never prevent it from reading. */
  allows(open: LockOwner, offset: number, length: number, write: boolean): boolean {
    if (this.#locks.length === 0 || length === 0) return true;
    if (this.#onlyOwn && !this.#locks.some((lock) => this.#binds(lock, open))) return true;
    const from = BigInt(offset);
    const span = BigInt(length);
    return !this.#locks.some(
      (lock) =>
        this.#binds(lock, open) &&
        overlaps(lock, from, span) &&
        (lock.open === open ? write && !lock.exclusive : write || lock.exclusive),
    );
  }
}
