/**
 * A directory as an ordered, immutable list. The order is that of the name hashes, so that a cookie stands for the same
 * place in every process, and a listing goes on behind an entry that is gone meanwhile.
 */
import type { HashHalves } from './identity.ts';

/** What an entry must have to be listed. */
export interface Listed {
  readonly name: string;
  readonly nameHash: HashHalves;
  /** Its place in the listing; set by the snapshot. */
  cookie: number;
}

/** 0 begins a listing; 1 and 2 stand for `.` and `..` in the protocols. */
const firstCookie = 3;

/** 52 bits of a name hash: exact as a number, and well below 2^63. */
function cookieOf(hash: HashHalves): number {
  return Math.max(firstCookie, hash.high * 0x100000 + (hash.low >>> 12));
}

export class Snapshot<E extends Listed> {
  /** In ascending order of their cookies. */
  readonly nodes: readonly E[];
  /** 30 bits of the set of names, never 0. */
  readonly digest: number;

  /** Sorts the nodes and gives each its cookie; names that share a hash get neighbouring ones, in byte order. */
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

  /** Index of the first node whose cookie is greater. */
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
