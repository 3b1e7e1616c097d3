/**
 * A directory as an ordered, immutable list. It is ordered by name hashes, so that a cookie means the same place in every
 * process, and a listing can continue after an entry that has been removed meanwhile.
 */
import type { HashHalves } from './identity.ts';

/** The part of an entry that a snapshot uses. */
export interface Listed {
  readonly name: string;
  readonly nameHash: HashHalves;
  /** Its place in the listing; set by the snapshot. */
  cookie: number;
}

/** Cookie 0 is the start of a listing; the protocols use 1 and 2 for `.` and `..`. */
const firstCookie = 3;

/** 52 bits of a name hash: an exact number, well below 2^63. */
function cookieOf(hash: HashHalves): number {
  return Math.max(firstCookie, hash.high * 0x100000 + (hash.low >>> 12));
}

export class Snapshot<E extends Listed> {
  /** In ascending order of cookies. */
  readonly nodes: readonly E[];
  /** 30-bit digest of the set of names, never 0. */
  readonly digest: number;

  /** Sorts the nodes in place and sets their cookies. Names with the same hash get consecutive cookies, in byte order. */
  constructor(nodes: E[]) {
    for (const node of nodes) node.cookie = cookieOf(node.nameHash);
    nodes.sort((a, b) => a.cookie - b.cookie || (a.name < b.name ? -1 : 1));
    let previous = firstCookie - 1;
    let digest = nodes.length;
    for (const node of nodes) {
      previous = Math.max(previous + 1, node.cookie);
      node.cookie = previous;
      digest = (digest + Math.imul(node.nameHash.low, 0x9e3779b1)) | 0;
    }
    this.nodes = nodes;
    this.digest = ((digest >>> 0) % 999_999_999) + 1;
  }

  get length(): number {
    return this.nodes.length;
  }

  /** Index of the first node with a greater cookie. */
  after(cookie: number): number {
    let low = 0;
    let high = this.nodes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.nodes[middle]!.cookie <= cookie) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
