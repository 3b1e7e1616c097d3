/**
 * Content of files and targets of symlinks.
 *
 * Cached blocks answer a READ at once if the file still has the attributes under which they were read. For that, the attributes
 * must come from a lookup within the last TreeLimits.readFresh and since the mount became live. READs refresh them in the
 * background once a second; a READ after a longer pause waits for the lookup, up to TreeLimits.patience. While the source is
 * absent, cached blocks stay valid, like all other cached data.
 */
import type { CachedFile } from '../cache/cached-file.ts';
import type { ContentCache } from '../cache/content-cache.ts';
import { CacheLimits } from '../cache/limits.ts';
import type { TreeSource } from '../source/source.ts';
import { sameTime } from './attributes.ts';
import type { Changes, TreeChange } from './changes.ts';
import type { Attributes, Awaitable, ReadOutcome, Time } from './contract.ts';
import { TreeError } from './errors.ts';
import { failedWith, isAbsent } from './failures.ts';
import { TreeLimits } from './limits.ts';
import type { Looks } from './looks.ts';
import type { ByteString } from './names.ts';
import type { TreeNode } from './node.ts';
import { Remembered } from './remembered.ts';

export interface ContentOptions {
  readonly source: TreeSource;
  readonly looks: Looks;
  readonly changes: Changes;
  readonly cache: ContentCache;
}

type Wanted = (() => boolean) | undefined;

/** The cached blocks of a node, and the version of the file to which they belong. */
interface Version {
  readonly file: CachedFile;
  attributes: Attributes;
  contentTime: Time | undefined;
  /** performance.now() when a READ last waited for a lookup, even if the lookup failed or took too long. */
  trustedAt: number;
  /** Date.now() at which to drop the blocks once, if the file had just been changed (CacheLimits.youngFor); else 0. */
  renewAt: number;
}

const toMs = ({ seconds, nanoseconds }: Time) => seconds * 1000 + nanoseconds / 1e6;

export class Content {
  readonly #source: TreeSource;
  readonly #looks: Looks;
  readonly #cache: ContentCache;
  readonly #versions = new WeakMap<TreeNode, Version>();
  readonly #targets = new WeakMap<TreeNode, Remembered<ByteString>>();

  constructor({ source, looks, changes, cache }: ContentOptions) {
    this.#source = source;
    this.#looks = looks;
    this.#cache = cache;
    changes.subscribe((change) => this.#changed(change));
  }

  /**
   * Reads into `target` at `offset`. Returns fewer bytes only at the end of the file, in agreement with the node's attributes.
   * Returns without a promise if all bytes are cached. After a failure the target may still be written to: never use it again.
   * @param wanted called before a queued read begins: false if the client no longer waits for it.
   */
  read(node: TreeNode, offset: number, target: Buffer, wanted?: Wanted): Awaitable<ReadOutcome> {
    if (node.kind === 'directory') throw new TreeError('isdir');
    if (node.kind !== 'file') throw new TreeError('inval', 'not a regular file');
    const { attributes } = node;
    if (!attributes || offset >= attributes.size) return this.#readAfterLook(node, offset, target, wanted);
    return this.#readKnown(node, attributes, offset, target, wanted);
  }

  async #readAfterLook(node: TreeNode, offset: number, target: Buffer, wanted: Wanted): Promise<ReadOutcome> {
    const attributes = await this.#looks.attributes(node);
    if (offset >= attributes.size) return { length: 0, eof: true };
    return await this.#readKnown(node, attributes, offset, target, wanted);
  }

  #readKnown(
    node: TreeNode,
    attributes: Attributes,
    offset: number,
    target: Buffer,
    wanted: Wanted,
  ): Awaitable<ReadOutcome> {
    if (target.length === 0) return { length: 0, eof: false };
    const now = performance.now();
    if (now - node.attributesAt > TreeLimits.attributesFresh) this.#looks.look(node).catch(() => undefined);
    const version = this.#versionOf(node, attributes);
    if (!version.file.isEmpty && !this.#isTrusted(node, version, now))
      return this.#readTrusted(node, version, offset, target, wanted);
    const length = Math.min(target.length, attributes.size - offset);
    const part = length === target.length ? target : target.subarray(0, length);
    const got = version.file.read(part, offset, wanted);
    if (typeof got !== 'number') return this.#finish(node, attributes, offset, length, got);
    return { length, eof: offset + length >= attributes.size };
  }

  async #finish(
    node: TreeNode,
    attributes: Attributes,
    offset: number,
    length: number,
    reading: Promise<number>,
  ): Promise<ReadOutcome> {
    try {
      const got = await reading;
      if (got < length) return await this.#shrunk(node, offset, got);
      return { length: got, eof: offset + got >= (node.attributes ?? attributes).size };
    } catch (error) {
      if (!isAbsent(error)) throw error;
      this.#looks.vanished(node, error);
      throw new TreeError('stale', `gone: ${node.path}`, { cause: error });
    }
  }

  /** The read ended before the known size: refresh the size, as clients accept an end of file only if it agrees with the size. */
  async #shrunk(node: TreeNode, offset: number, length: number): Promise<ReadOutcome> {
    const { size } = await this.#looks.look(node);
    const eof = offset + length >= size;
    if (!eof && length === 0) throw new TreeError('busy', 'the file changes while it is read');
    return { length, eof };
  }

  // -- Cached blocks -----------------------------------------------------------------------------------------------------

  #versionOf(node: TreeNode, attributes: Attributes): Version {
    const { contentTime } = node;
    let version = this.#versions.get(node);
    if (!version) {
      const file = this.#cache.file(node.path);
      const trustedAt = Number.NEGATIVE_INFINITY;
      version = { file, attributes, contentTime, trustedAt, renewAt: renewalOf(contentTime) };
      this.#versions.set(node, version);
    } else if (version.attributes !== attributes || version.contentTime !== contentTime) {
      const isSame =
        isSameContent(version.attributes, attributes) && isSameTime(version.contentTime, contentTime);
      version.attributes = attributes;
      version.contentTime = contentTime;
      if (!isSame) {
        version.file.drop();
        version.renewAt = renewalOf(contentTime);
      }
    }
    if (version.renewAt > 0 && Date.now() >= version.renewAt) {
      version.file.drop();
      version.renewAt = 0;
    }
    version.file.size = attributes.size;
    return version;
  }

  #isTrusted(node: TreeNode, { trustedAt }: Version, now: number): boolean {
    if (node.gone) return false;
    return (
      this.#looks.isFresh(node, now, TreeLimits.readFresh) ||
      this.#looks.isRecent(node, trustedAt, now, TreeLimits.readFresh)
    );
  }

  /** Waits for fresh attributes, then reads. If they are not available in time, reads with the last ones. */
  async #readTrusted(
    node: TreeNode,
    version: Version,
    offset: number,
    target: Buffer,
    wanted: Wanted,
  ): Promise<ReadOutcome> {
    try {
      await this.#looks.attributes(node);
    } catch (error) {
      if (failedWith(error, 'stale')) throw error;
      // A file whose lookup fails may still be readable, but do not rely on its cached blocks.
      version.file.drop();
    }
    version.trustedAt = performance.now();
    return await this.read(node, offset, target, wanted);
  }

  #changed(change: TreeChange): void {
    if (change.type === 'content') this.#versions.get(change.node)?.file.drop();
    else for (const node of change.removed) this.#versions.get(node)?.file.drop();
  }

  /** The last client has closed the file (SMB only: NFSv3 has no close). */
  released(node: TreeNode): void {
    this.#versions.get(node)?.file.stopReadingAhead();
  }

  async readlink(node: TreeNode): Promise<ByteString> {
    if (node.kind !== 'symlink') throw new TreeError('inval', 'not a symbolic link');
    const target = this.#targets.get(node) ?? new Remembered<ByteString>();
    this.#targets.set(node, target);
    return await target.get(() => this.#source.readlink(node.path));
  }
}

const isSameContent = (a: Attributes, b: Attributes) =>
  a.size === b.size && sameTime(a.mtime, b.mtime) && sameTime(a.ctime, b.ctime);

const isSameTime = (a: Time | undefined, b: Time | undefined) =>
  a === b || (a !== undefined && b !== undefined && sameTime(a, b));

/** When to drop the blocks of a file: see Version.renewAt. Timestamps may be whole seconds, and so hide a second change. */
function renewalOf(contentTime: Time | undefined): number {
  const now = Date.now();
  const isYoung = contentTime !== undefined && Math.abs(toMs(contentTime) - now) < CacheLimits.youngFor;
  return isYoung ? now + CacheLimits.timeGrain : 0;
}
