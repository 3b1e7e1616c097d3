/** File content in chunks. Only written chunks exist. One budget covers the whole share. */
import { type ByteRange, StatusError } from '../backend.ts';
import { Status } from '../wire/status.ts';

const CHUNK = 64 * 1024;
const SMALLEST_CHUNK = 512;
/** Size of an allocation unit in bytes: the default of NTFS. */
const CLUSTER = 4096;

export const roundToCluster = (size: number): number => Math.ceil(size / CLUSTER) * CLUSTER;

/** Most bytes of memory that all contents of one share may use. */
export class Budget {
  readonly capacity: number;
  private taken = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  get free(): number {
    return this.capacity - this.taken;
  }

  /** Throws DISK_FULL. */
  take(bytes: number): void {
    if (bytes > this.free) throw new StatusError(Status.DISK_FULL);
    this.taken += bytes;
  }

  give(bytes: number): void {
    this.taken -= bytes;
  }
}

/** Length for `needed` bytes: a power of two, so that appending does not copy the file each time. */
function chunkLength(needed: number): number {
  let length = SMALLEST_CHUNK;
  while (length < needed) length *= 2;
  return length;
}

export class SparseContent {
  private readonly budget: Budget;
  /** By chunk number. A chunk may be shorter than CHUNK; the missing bytes read as zeros. */
  private readonly chunks = new Map<number, Buffer>();
  private length = 0;
  private held = 0;

  constructor(budget: Budget) {
    this.budget = budget;
  }

  get size(): number {
    return this.length;
  }

  /** Bytes of memory in use. */
  get heldBytes(): number {
    return this.held;
  }

  /** Returns how many bytes were read into `target`: fewer than its length only at the end, 0 beyond it. */
  read(offset: number, target: Buffer): number {
    const count = Math.max(0, Math.min(target.length, this.length - offset));
    for (let done = 0; done < count;) {
      const at = (offset + done) % CHUNK;
      const step = Math.min(count - done, CHUNK - at);
      const chunk = this.chunks.get(Math.floor((offset + done) / CHUNK));
      const copied = chunk === undefined || at >= chunk.length ? 0 : chunk.copy(target, done, at, at + step);
      target.fill(0, done + copied, done + step);
      done += step;
    }
    return count;
  }

  /** Writes all of `data`; or nothing when the budget is exceeded (DISK_FULL). */
  write(offset: number, data: Buffer): void {
    if (data.length === 0) return;
    this.reserve(offset, data.length);
    for (let done = 0; done < data.length;) {
      const at = (offset + done) % CHUNK;
      const step = Math.min(data.length - done, CHUNK - at);
      data.copy(this.chunks.get(Math.floor((offset + done) / CHUNK))!, at, done, done + step);
      done += step;
    }
    this.length = Math.max(this.length, offset + data.length);
  }

  /** Cuts the content, or extends it with a hole that uses no memory. */
  truncate(size: number): void {
    if (size < this.length) {
      const last = Math.floor(size / CHUNK);
      for (const number of [...this.chunks.keys()]) {
        if (number > last || (number === last && size % CHUNK === 0)) this.drop(number);
      }
      this.chunks.get(last)?.fill(0, size % CHUNK);
    }
    this.length = size;
  }

  /** The allocated parts of `range`, in whole chunks. */
  allocated({ offset, length }: ByteRange): ByteRange[] {
    const end = Math.min(offset + length, this.length);
    const found: { offset: number; length: number }[] = [];
    for (const number of [...this.chunks.keys()].sort((a, b) => a - b)) {
      const from = Math.max(offset, number * CHUNK);
      const to = Math.min(end, (number + 1) * CHUNK);
      if (from >= to) continue;
      const last = found.at(-1);
      if (last && last.offset + last.length === from) last.length += to - from;
      else found.push({ offset: from, length: to - from });
    }
    return found;
  }

  /** Writes zeros. Frees chunks that contain nothing else. */
  punch({ offset, length }: ByteRange): void {
    const end = Math.min(offset + length, this.length);
    for (const [number, chunk] of [...this.chunks]) {
      const start = number * CHUNK;
      if (offset <= start && end >= Math.min(start + CHUNK, this.length)) this.drop(number);
      else if (offset < start + chunk.length && end > start)
        chunk.fill(0, Math.max(0, offset - start), Math.min(chunk.length, end - start));
    }
  }

  private reserve(offset: number, length: number): void {
    const grown = new Map<number, number>();
    let bytes = 0;
    const end = offset + length;
    for (let number = Math.floor(offset / CHUNK); number * CHUNK < end; number++) {
      const have = this.chunks.get(number)?.length ?? 0;
      const need = chunkLength(Math.min(CHUNK, end - number * CHUNK));
      if (need <= have) continue;
      grown.set(number, need);
      bytes += need - have;
    }
    this.budget.take(bytes);
    this.held += bytes;
    for (const [number, need] of grown) {
      const chunk = Buffer.alloc(need);
      this.chunks.get(number)?.copy(chunk);
      this.chunks.set(number, chunk);
    }
  }

  private drop(number: number): void {
    const length = this.chunks.get(number)!.length;
    this.chunks.delete(number);
    this.held -= length;
    this.budget.give(length);
  }
}
