/** One directory scan of an open ([MS-SMB2] 3.3.5.18). */
import type { Awaitable, CallContext, DirectoryListing, NodeAttributes } from '../backend.ts';
import { fromPosixWireName, fromWireName, toPosixWireName, toWireName } from '../names/characters.ts';
import { hasWildcards, matcher } from '../names/wildcard.ts';
import { presentedId } from '../share/attributes.ts';
import { followLink } from '../share/path.ts';
import type { FollowedLink } from '../share/path.ts';
import type { Node } from '../share/volume.ts';
import type { DirectoryView } from './directory-view.ts';

/** The position of a scan, in a form that every process understands. */
export interface ScanPlace {
  /** How many of `.` and `..` the scan has passed. */
  readonly dots: number;
  /** DirectoryListing.placeAt of the last entry that the scan has passed; undefined before the first. */
  readonly after?: string;
}

/** Entries to load at a time: enough for a reply of 64 KiB. */
const BATCH = 512;
/** Entries to examine before other requests get the event loop: a few milliseconds. */
const SLICE = 512;
/** `.` and `..` come before the listing. */
const DOTS = 2;

export class Enumeration {
  readonly pattern: string;
  readonly #open: DirectoryView;
  readonly #listing: DirectoryListing<Node>;
  readonly #matches: (name: string) => boolean;
  readonly #toWire: (name: string) => string;
  #loadedTo = 0;
  /** Targets of the links among the loaded entries, by index; undefined for a link that leads nowhere. */
  #targets: Map<number, FollowedLink | undefined> | undefined;
  /** Entries examined since other requests had the event loop. */
  #looked = 0;
  position = 0;
  /** The entry that `seek` found. `id` is the id to show for it. */
  name = '';
  attributes: NodeAttributes | undefined;
  id = 0n;
  #found = 0;
  /** Whether an entry was returned: then the end is NO_MORE_FILES, not NO_SUCH_FILE. */
  started = false;
  /** When the client last asked for more (performance.now()). */
  askedAt = performance.now();
  #ended = false;

  private constructor(open: DirectoryView, pattern: string, listing: DirectoryListing<Node>) {
    this.#open = open;
    this.pattern = pattern;
    this.#listing = listing;
    this.#matches = matcher(pattern);
    this.#toWire = open.posix ? toPosixWireName : toWireName;
  }

  /** Continues a scan of an earlier open, possibly of another process. */
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

  /** Undefined before the first entry was returned, and after the client was told of the end. */
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

  /** Called when the client was told that there are no more entries. */
  end(): void {
    this.#ended = true;
  }

  /** Finds the next matching entry and sets `name` and `attributes`. Returns false at the end. Does not advance. */
  seek(call: CallContext): Awaitable<boolean> {
    const listing = this.#listing;
    const end = DOTS + listing.length;
    for (let at = this.position; at < end; at++) {
      if (at < DOTS) {
        const dot = at === 0 ? '.' : '..';
        if (this.#matches(dot)) return this.#dot(dot, at, call);
        continue;
      }
      const index = at - DOTS;
      if (++this.#looked > SLICE) return this.#later(at, call);
      const name = this.#toWire(listing.nameAt(index));
      if (!this.#matches(name)) continue;
      if (index >= this.#loadedTo) return this.#loadFrom(index, at, call);
      const target = this.#targets?.get(index);
      const isLink = this.#targets?.has(index) === true;
      const attributes = isLink ? target?.attributes : listing.attributesAt(index);
      // Leave out an entry that could not be looked up, as if the file had vanished.
      if (!attributes) continue;
      this.#show(name, attributes, this.#open.alias ^ (target?.alias ?? 0n), at + 1);
      return true;
    }
    return false;
  }

  /** FileIndex of the found entry, and the position after it. */
  get nextPosition(): number {
    return this.#found;
  }

  /** Continues at a position that the client chose. */
  moveTo(position: number): void {
    if (position < this.position) this.#loadedTo = 0;
    this.position = position;
  }

  /** Called when the found entry was returned to the client. */
  advance(): void {
    this.position = this.#found;
  }

  async #later(at: number, call: CallContext): Promise<boolean> {
    await new Promise(setImmediate);
    this.#looked = 0;
    // No entry before `at` matched.
    if (at > this.position) this.position = at;
    return await this.seek(call);
  }

  #loadFrom(index: number, at: number, call: CallContext): Awaitable<boolean> {
    this.position = at;
    const loadedTo = Math.min(this.#listing.length, index + BATCH);
    const loading = this.#listing.load(index, loadedTo);
    if (!(loading instanceof Promise) && this.#open.share.options.followSymlinks !== true) {
      this.#loadedTo = loadedTo;
      return this.seek(call);
    }
    return this.#whenLoaded(loading, index, loadedTo, call);
  }

  async #whenLoaded(
    loading: Awaitable<void>,
    index: number,
    loadedTo: number,
    call: CallContext,
  ): Promise<boolean> {
    await loading;
    if (this.#open.share.options.followSymlinks === true) await this.#follow(index, loadedTo, call);
    this.#loadedTo = loadedTo;
    this.#looked = 0;
    return await this.seek(call);
  }

  /** Resolves the links among the entries `from` to `to`. */
  async #follow(from: number, to: number, call: CallContext): Promise<void> {
    const { share, maxSymlinkHops } = this.#open;
    const targets = new Map<number, FollowedLink | undefined>();
    const looks: Promise<void>[] = [];
    for (let index = from; index < to; index++) {
      const link = this.#listing.nodeAt(index);
      if (link && this.#listing.attributesAt(index)?.kind === 'symlink')
        looks.push(
          followLink(share, link, maxSymlinkHops, call).then((target) => void targets.set(index, target)),
        );
    }
    await Promise.all(looks);
    this.#targets = targets.size === 0 ? undefined : targets;
  }

  #show(name: string, attributes: NodeAttributes, alias: bigint, nextPosition: number): void {
    this.name = name;
    this.attributes = attributes;
    this.id = alias === 0n ? attributes.id : presentedId(attributes, alias);
    this.#found = nextPosition;
  }

  async #dot(name: string, at: number, call: CallContext): Promise<boolean> {
    const { backend } = this.#open.share;
    const { node: own } = this.#open;
    const node = name === '.' ? own : (backend.parent(own)?.directory ?? own);
    const alias = name === '.' ? this.#open.alias : 0n;
    this.#show(name, await backend.attributes(node, call), alias, at + 1);
    return true;
  }
}

/** Makes a listing for a pattern without wildcards, with one lookup. */
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
