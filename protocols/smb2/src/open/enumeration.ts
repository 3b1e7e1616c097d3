/** One directory scan of an open ([MS-SMB2] 3.3.5.18). */
import type { CallContext, DirectoryListing, NodeAttributes } from '../backend.ts';
import { fromPosixWireName, fromWireName, toPosixWireName, toWireName } from '../names/characters.ts';
import { hasWildcards, matcher } from '../names/wildcard.ts';
import type { DirectoryView } from './directory-view.ts';
import { followLink } from '../share/path.ts';
import type { FollowedLink } from '../share/path.ts';
import type { Node } from '../share/volume.ts';

export interface Found {
  readonly name: string;
  readonly node: Node;
  readonly attributes: NodeAttributes;
  /** Where a scan goes on after this entry. */
  readonly nextPosition: number;
}

/** Where a scan stands, in words that mean the same to every process. */
export interface ScanPlace {
  /** How many of `.` and `..` it is past. */
  readonly dots: number;
  /** DirectoryListing.placeAt of the entry it is past; undefined before the first. */
  readonly after?: string;
}

/** Entries made ready at a time: enough for a reply of 64 KiB. */
const BATCH = 512;
/** `.` and `..` come before the listing. */
const DOTS = 2;

export class Enumeration {
  readonly pattern: string;
  readonly #open: DirectoryView;
  readonly #listing: DirectoryListing<Node>;
  readonly #matches: (name: string) => boolean;
  readonly #maxHops: number;
  #loadedTo = 0;
  /** What the links among the loaded entries lead to, by their index; undefined when nowhere. */
  readonly #targets = new Map<number, FollowedLink | undefined>();
  position = 0;
  /** An entry was given out: the end is NO_MORE_FILES from now on, not NO_SUCH_FILE. */
  started = false;
  /** When its client last asked for more (performance.now()). */
  askedAt = performance.now();
  #ended = false;

  private constructor(open: DirectoryView, pattern: string, listing: DirectoryListing<Node>) {
    this.#open = open;
    this.#maxHops = open.maxSymlinkHops;
    this.pattern = pattern;
    this.#listing = listing;
    this.#matches = matcher(pattern);
  }

  /** Goes on where a scan of an earlier open, perhaps of another process, stood. */
  static async resume(
    open: DirectoryView,
    pattern: string,
    { dots, after }: ScanPlace,
    call: CallContext,
  ): Promise<Enumeration> {
    const scan = await Enumeration.start(open, pattern, call);
    scan.position = dots + (after === undefined ? 0 : scan.#listing.indexAfter(after));
    scan.started = true;
    return scan;
  }

  /** Undefined before the first entry was given out, and when the client has been told of the end. */
  get place(): ScanPlace | undefined {
    if (!this.started || this.#ended) return undefined;
    const dots = Math.min(this.position, DOTS);
    const last = Math.min(this.position - DOTS, this.#listing.length) - 1;
    return last < 0 ? { dots } : { dots, after: this.#listing.placeAt(last) };
  }

  static async start(open: DirectoryView, pattern: string, call: CallContext): Promise<Enumeration> {
    const { backend } = open.share;
    if (pattern === '' || hasWildcards(pattern))
      return new Enumeration(open, pattern, await backend.list(open.node, call));
    return new Enumeration(open, pattern, await single(open, pattern, call));
  }

  /** The client has been told that there is nothing more. */
  end(): void {
    this.#ended = true;
  }

  /** The next entry that matches, or undefined at the end. Does not advance by itself. */
  async next(call: CallContext): Promise<Found | undefined> {
    const listing = this.#listing;
    for (let at = this.position; at < DOTS + listing.length; at++) {
      if (at < DOTS) {
        const dot = at === 0 ? '.' : '..';
        if (this.#matches(dot)) return await this.#dot(dot, at, call);
        continue;
      }
      const index = at - DOTS;
      const name = this.#nameAt(index);
      if (!this.#matches(name)) continue;
      if (index >= this.#loadedTo) {
        this.#loadedTo = Math.min(listing.length, index + BATCH);
        const loading = listing.load(index, this.#loadedTo);
        if (loading instanceof Promise) await loading;
        if (this.#open.share.options.followSymlinks === true) await this.#follow(index, call);
      }
      const isLink = this.#targets.has(index);
      const node = isLink ? this.#targets.get(index)?.node : listing.nodeAt(index);
      const attributes = isLink ? this.#targets.get(index)?.attributes : listing.attributesAt(index);
      // What could not be looked at is left out, as a file that vanished meanwhile would be.
      if (node && attributes) return { name, node, attributes, nextPosition: at + 1 };
    }
    return undefined;
  }

  /** Looks at what the links from `from` to the end of the loaded entries lead to. */
  async #follow(from: number, call: CallContext): Promise<void> {
    const { share } = this.#open;
    this.#targets.clear();
    const looks: Promise<void>[] = [];
    for (let index = from; index < this.#loadedTo; index++) {
      const link = this.#listing.nodeAt(index);
      if (link && this.#listing.attributesAt(index)?.kind === 'symlink')
        looks.push(
          followLink(share, link, this.#maxHops, call).then(
            (target) => void this.#targets.set(index, target),
          ),
        );
    }
    await Promise.all(looks);
  }

  #nameAt(index: number): string {
    const name = this.#listing.nameAt(index);
    return this.#open.posix ? toPosixWireName(name) : toWireName(name);
  }

  async #dot(name: string, at: number, call: CallContext): Promise<Found> {
    const { backend } = this.#open.share;
    const { node: own } = this.#open;
    const node = name === '.' ? own : (backend.parent(own)?.directory ?? own);
    return { name, node, attributes: await backend.attributes(node, call), nextPosition: at + 1 };
  }
}

/** A pattern without wildcards needs no listing. */
async function single(open: DirectoryView, name: string, call: CallContext): Promise<DirectoryListing<Node>> {
  const { backend, options } = open.share;
  const isDot = name === '.' || name === '..';
  const caseSensitive = open.posix || options.caseSensitive === true;
  const wanted = open.posix ? fromPosixWireName(name) : fromWireName(name);
  const node = isDot ? undefined : await backend.lookup(open.node, wanted, caseSensitive, call);
  const attributes = node && (await backend.attributes(node, call));
  const actual = (node && backend.parent(node)?.name) ?? wanted;
  return {
    length: node ? 1 : 0,
    nameAt: () => actual,
    placeAt: () => '',
    indexAfter: () => 1,
    load: () => undefined,
    nodeAt: () => node,
    attributesAt: () => attributes,
  };
}
