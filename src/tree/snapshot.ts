/**
 * A directory as an ordered, immutable list. It is ordered by name hashes, so that a cookie means the same place in every
 * process, and a listing can continue after an entry that has been removed meanwhile.
 */
import { setImmediate as turn } from 'node:timers/promises';
import type { HashHalves } from './identity.ts';

/** The part of an entry that a snapshot uses. */
export interface Listed {
  readonly name: string;
  readonly nameHash: HashHalves;
}

/** Cookie 0 is the start of a listing; the protocols use 1 and 2 for `.` and `..`. */
const firstCookie = 3;

/** Entries sorted before the event loop gets a turn: one or two milliseconds. */
const run = 2_048;

/** 52 bits of a name hash: an exact number, well below 2^63. */
function cookieOf(hash: HashHalves): number {
  return Math.max(firstCookie, hash.high * 0x100000 + (hash.low >>> 12));
}

/** Sorts entries. Orders are arrays of indexes into `nodes`. */
class Sorting<E extends Listed> {
  readonly nodes: readonly E[];
  readonly keys: Float64Array;
  digest: number;

  constructor(nodes: readonly E[]) {
    this.nodes = nodes;
    this.keys = new Float64Array(nodes.length);
    this.digest = nodes.length;
  }

  /** The order of the entries from..to. */
  sorted(from: number, to: number): number[] {
    const order: number[] = [];
    for (let i = from; i < to; i++) {
      const hash = this.nodes[i]!.nameHash;
      this.keys[i] = cookieOf(hash);
      this.digest = (this.digest + Math.imul(hash.low, 0x9e3779b1)) | 0;
      order.push(i);
    }
    return order.sort((a, b) => this.#compare(a, b));
  }

  async merged(a: readonly number[], b: readonly number[]): Promise<number[]> {
    const order: number[] = [];
    let [i, j] = [0, 0];
    while (i < a.length || j < b.length) {
      const isFirst = j === b.length || (i < a.length && this.#compare(a[i]!, b[j]!) < 0);
      order.push(isFirst ? a[i++]! : b[j++]!);
      if (order.length % (8 * run) === 0) await turn();
    }
    return order;
  }

  /** Names that share a hash are in byte order. */
  #compare(a: number, b: number): number {
    return this.keys[a]! - this.keys[b]! || (this.nodes[a]!.name < this.nodes[b]!.name ? -1 : 1);
  }
}

export class Snapshot<E extends Listed> {
  /** In ascending order of cookies. */
  readonly nodes: readonly E[];
  /** 30-bit digest of the set of names, never 0. */
  readonly digest: number;
  readonly #cookies: Float64Array;

  private constructor(sorting: Sorting<E>, order: readonly number[]) {
    this.nodes = order.map((i) => sorting.nodes[i]!);
    this.#cookies = new Float64Array(order.length);
    let previous = firstCookie - 1;
    for (const [at, i] of order.entries()) {
      // Names that share a hash get consecutive cookies.
      previous = Math.max(previous + 1, sorting.keys[i]!);
      this.#cookies[at] = previous;
    }
    this.digest = ((sorting.digest >>> 0) % 999_999_999) + 1;
  }

  /** Makes a snapshot synchronously. */
  static of<E extends Listed>(nodes: readonly E[]): Snapshot<E> {
    const sorting = new Sorting(nodes);
    return new Snapshot(sorting, sorting.sorted(0, nodes.length));
  }

  /** Makes the same snapshot, with turns of the event loop in between if there are many entries. */
  static async sliced<E extends Listed>(nodes: readonly E[]): Promise<Snapshot<E>> {
    if (nodes.length <= run) return Snapshot.of(nodes);
    const sorting = new Sorting(nodes);
    let runs: number[][] = [];
    for (let from = 0; from < nodes.length; from += run) {
      runs.push(sorting.sorted(from, Math.min(nodes.length, from + run)));
      await turn();
    }
    while (runs.length > 1) {
      const longer: number[][] = [];
      for (let i = 0; i < runs.length; i += 2) longer.push(await sorting.merged(runs[i]!, runs[i + 1] ?? []));
      runs = longer;
    }
    return new Snapshot(sorting, runs[0]!);
  }

  get length(): number {
    return this.nodes.length;
  }

  cookieAt(index: number): number {
    return this.#cookies[index]!;
  }

  /** Index of an entry; -1 if it is not in this snapshot. */
  indexOf(entry: E): number {
    // Names that share a hash are next to each other.
    const cookie = cookieOf(entry.nameHash);
    for (let i = this.after(cookie - 1); i < this.nodes.length; i++) {
      if (this.nodes[i] === entry) return i;
      if (cookieOf(this.nodes[i]!.nameHash) > cookie) break;
    }
    return -1;
  }

  /** Index of the first node with a greater cookie. */
  after(cookie: number): number {
    let low = 0;
    let high = this.nodes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#cookies[middle]! <= cookie) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
