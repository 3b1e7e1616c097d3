/**
 * What files and symlinks hold.
 *
 * What is in memory is handed out at once, as long as the attributes that it was read under are the file's. How sure that is: they were
 * looked at within TreeLimits.readFresh, at the source that is there now. While a file is read they are looked at anew behind the reader
 * each second; a reader who comes later waits for that look, for no longer than the tree's patience. While the source cannot
 * say, what is in memory is good, as all that is known is.
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

/** The blocks of a node, and the version of the file that they are of. */
interface Version {
  readonly file: CachedFile;
  attributes: Attributes;
  contentTime: Time | undefined;
  /** performance.now() of a look that was waited for, be it in vain. */
  trustedAt: number;
  /** Wall clock at which blocks are read anew: the file was so young that another change might not have shown. Else 0. */
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
   * Reads into `target` at `offset`; short only at the end of the file, as the node's attributes then tell it. At once when it is in
   * memory. After a failure the target may still be written to: never use it again.
   * @param wanted asked before a read begins that had to wait: false when nobody waits for it any more.
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

  /** The file has become shorter. Refresh its attributes: clients accept an end only where the attributes have it. */
  async #shrunk(node: TreeNode, offset: number, length: number): Promise<ReadOutcome> {
    const { size } = await this.#looks.look(node);
    const eof = offset + length >= size;
    if (!eof && length === 0) throw new TreeError('busy', 'the file changes while it is read');
    return { length, eof };
  }

  // -- What is in memory -------------------------------------------------------------------------------------------------

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

  /** Once the attributes are known to be those of now, or cannot be had. */
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
      // What cannot be looked at may still be read; what is in memory of it is not to be relied on.
      version.file.drop();
    }
    version.trustedAt = performance.now();
    return await this.read(node, offset, target, wanted);
  }

  #changed(change: TreeChange): void {
    if (change.type === 'content') this.#versions.get(change.node)?.file.drop();
    else for (const node of change.removed) this.#versions.get(node)?.file.drop();
  }

  /** Nobody has it open any more, as far as a protocol tells. */
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

/** Sources may count in whole seconds: of a file that was changed just now, the next change may not show. */
function renewalOf(contentTime: Time | undefined): number {
  const now = Date.now();
  const isYoung = contentTime !== undefined && Math.abs(toMs(contentTime) - now) < CacheLimits.youngFor;
  return isYoung ? now + CacheLimits.timeGrain : 0;
}
