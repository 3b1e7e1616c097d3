import { constants } from 'node:os';
import { isBelow } from './faults.ts';
import type { ProviderCounts, ProviderSpec } from './fuse-protocol.ts';
import { Ranges } from './ranges.ts';

/** A read that starts at most this many bytes ahead of a running fetch waits for that fetch; any other starts a new one. */
export const JOIN_BYTES = 4 * 1024 * 1024;
const TICK_MS = 10;

/** 0, or a negative errno. */
type Done = (error: number) => void;

interface Fetch {
  /** Offset of the next byte to arrive. */
  position: number;
  /** The fetch pauses at this offset until a read moves it forward; -1 once the fetch has ended. */
  target: number;
  /** The bytes that arrived until this time are counted (ms since the epoch). In the future until the first byte. */
  countedToMs: number;
}

interface Wait {
  readonly from: number;
  readonly to: number;
  readonly sinceMs: number;
  readonly done: Done;
}

interface ProvidedFile {
  readonly path: string;
  readonly size: number;
  descriptors: number;
  lastReadMs: number;
  /** Fetched bytes; they stay on the disk when the file is closed. */
  readonly disk: Ranges;
  fetches: Fetch[];
  waits: Wait[];
  bytes: number;
  requests: number;
}

/**
 * Simulates a debrid provider and the daemon's disk cache in front of it. While a file is open, the daemon reads ahead of
 * the last read at the rate of one request, whether or not further reads come. The last close stops that at once.
 */
export class Provider {
  readonly #spec: ProviderSpec;
  readonly #files = new Map<string, ProvidedFile>();
  #timer: NodeJS.Timeout | undefined;
  #stalled = false;

  constructor(spec: ProviderSpec) {
    this.#spec = spec;
  }

  /** @param key identifies one version of a file. */
  open(key: string, path: string, size: number): void {
    let file = this.#files.get(key);
    if (!file) {
      const nothing = { descriptors: 0, lastReadMs: 0, fetches: [], waits: [], bytes: 0, requests: 0 };
      file = { path, size, disk: new Ranges(), ...nothing };
      this.#files.set(key, file);
    }
    file.descriptors++;
  }

  close(key: string): void {
    const file = this.#files.get(key);
    if (!file || --file.descriptors > 0) return;
    this.#advance(file);
    file.fetches = [];
  }

  /** Calls `done` once these bytes are on the disk; at once if they already are. */
  read(key: string, from: number, length: number, done: Done): void {
    const file = this.#files.get(key);
    if (!file) {
      done(0);
      return;
    }
    this.#advance(file);
    const nowMs = Date.now();
    file.lastReadMs = nowMs;
    // Fetches that paused, at their target or for lack of reads, continue from now on.
    for (const fetch of file.fetches) fetch.countedToMs = Math.max(fetch.countedToMs, nowMs);
    const to = Math.min(file.size, from + length);
    this.#fetch(file, from, Math.min(file.size, to + this.#spec.aheadBytes), nowMs);
    if (file.disk.firstMissing(from) >= to) {
      done(0);
      return;
    }
    file.waits.push({ from, to, sinceMs: nowMs, done });
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS);
  }

  /** The provider sends nothing until {@link resume}. Bytes on the disk can be read. */
  stall(): void {
    for (const file of this.#files.values()) this.#advance(file);
    this.#stalled = true;
  }

  resume(): void {
    this.#stalled = false;
    for (const { fetches } of this.#files.values())
      for (const fetch of fetches) fetch.countedToMs = Math.max(fetch.countedToMs, Date.now());
  }

  isOnDisk(key: string, from: number, length: number): boolean {
    const file = this.#files.get(key);
    return file !== undefined && file.disk.firstMissing(from) >= Math.min(file.size, from + length);
  }

  /** Ends all fetches and answers all waiting reads: the daemon shuts down. */
  abandon(error: number): void {
    for (const file of this.#files.values()) {
      file.fetches = [];
      for (const wait of file.waits.splice(0)) wait.done(error);
    }
  }

  counts(path: string): ProviderCounts {
    const sum = { bytes: 0, requests: 0 };
    for (const file of this.#files.values()) {
      if (!isBelow(file.path, path)) continue;
      this.#advance(file);
      sum.bytes += file.bytes;
      sum.requests += file.requests;
    }
    return sum;
  }

  resetCounts(): void {
    for (const file of this.#files.values()) {
      this.#advance(file);
      file.bytes = 0;
      file.requests = 0;
    }
  }

  /** Fetches the missing part of [from, to): extends a fetch that is near, or starts a new one at `atMs`. */
  #fetch(file: ProvidedFile, from: number, to: number, atMs: number): void {
    const missing = file.disk.firstMissing(from);
    if (missing >= to) return;
    const near = file.fetches.find(
      ({ position, target }) => target >= 0 && position <= missing && missing - position <= JOIN_BYTES,
    );
    if (near) {
      near.target = Math.max(near.target, to);
      return;
    }
    file.fetches.push({ position: missing, target: to, countedToMs: atMs + this.#spec.firstByteMs });
    file.requests++;
  }

  /** Adds the bytes that the fetches of `file` have received until now. */
  #advance(file: ProvidedFile): void {
    if (this.#stalled) return;
    const idle = file.waits.length === 0;
    const nowMs = idle ? Math.min(Date.now(), file.lastReadMs + this.#spec.idleMs) : Date.now();
    // The loop also visits fetches that are added while it runs.
    for (const fetch of file.fetches) {
      if (nowMs < fetch.countedToMs || fetch.position >= fetch.target) continue;
      const came = Math.floor(((nowMs - fetch.countedToMs) / 1000) * this.#spec.bytesPerSecond);
      const meets = file.disk.nextStart(fetch.position);
      const end = Math.min(fetch.position + came, fetch.target, meets);
      const bytes = end - fetch.position;
      file.bytes += bytes;
      file.disk.add(fetch.position, end);
      fetch.position = end;
      if (end < meets || end >= fetch.target) {
        fetch.countedToMs = nowMs;
        continue;
      }
      // The fetch has reached bytes that are on the disk. Another request fetches the rest behind them.
      const atMs = fetch.countedToMs + (bytes / this.#spec.bytesPerSecond) * 1000;
      const { target } = fetch;
      fetch.target = -1;
      this.#fetch(file, end, target, atMs);
    }
    file.fetches = file.fetches.filter(({ target }) => target >= 0);
  }

  #tick(): void {
    const nowMs = Date.now();
    let waiting = 0;
    for (const file of this.#files.values()) {
      if (file.waits.length === 0) continue;
      this.#advance(file);
      const waits = file.waits.splice(0);
      for (const wait of waits) {
        if (file.disk.firstMissing(wait.from) >= wait.to) wait.done(0);
        else if (nowMs - wait.sinceMs >= this.#spec.giveUpMs) wait.done(-constants.errno.EIO);
        else file.waits.push(wait);
      }
      waiting += file.waits.length;
    }
    if (waiting > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
