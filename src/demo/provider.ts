import { constants } from 'node:os';
import { isBelow } from './faults.ts';
import type { ProviderCounts, ProviderSpec } from './fuse-protocol.ts';
import { Ranges } from './ranges.ts';

/** A read that begins within this many bytes of where a fetch has got to waits for it; another starts a fetch. */
export const JOIN_BYTES = 4 * 1024 * 1024;
const TICK_MS = 10;

/** 0, or a negative errno. */
type Done = (error: number) => void;

interface Fetch {
  /** The next byte that comes. */
  position: number;
  /** It rests here until a read moves this on. */
  target: number;
  /** Up to when the bytes that came are counted (ms since the epoch); in the future until the first byte comes. */
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
  /** What was fetched: it stays when the file is closed. */
  readonly disk: Ranges;
  fetches: Fetch[];
  waits: Wait[];
  bytes: number;
  requests: number;
}

/**
 * A provider as a debrid account is one, with the disk of the daemon before it. While a file is open its bytes are
 * fetched ahead of the last read, at a rate for each request, whether or not anybody reads on. The last close ends
 * that at once.
 */
export class Provider {
  readonly #spec: ProviderSpec;
  readonly #files = new Map<string, ProvidedFile>();
  #timer: NodeJS.Timeout | undefined;
  #stalled = false;

  constructor(spec: ProviderSpec) {
    this.#spec = spec;
  }

  /** @param key tells versions of a file apart. */
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

  /** Calls `done` once these bytes are on the disk, at once if they are. */
  read(key: string, from: number, length: number, done: Done): void {
    const file = this.#files.get(key);
    if (!file) {
      done(0);
      return;
    }
    this.#advance(file);
    const nowMs = Date.now();
    file.lastReadMs = nowMs;
    // Those that rested, at their target or as nobody read, go on from here.
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

  /** No byte comes until {@link resume}; what is on the disk is read as always. */
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

  /** Fetches nothing more for whoever has files open, and answers all that wait: the daemon is about to end. */
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

  /** Has a fetch bring what is missing of [from, to): one that is near goes on, else another starts at `atMs`. */
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

  /** Brings the fetches of `file` up to now. */
  #advance(file: ProvidedFile): void {
    if (this.#stalled) return;
    const idle = file.waits.length === 0;
    const nowMs = idle ? Math.min(Date.now(), file.lastReadMs + this.#spec.idleMs) : Date.now();
    // Those that start in here are reached as well.
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
      // It meets what is there. The rest is another request, behind that.
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
