/** The content of files and the targets of symlinks. */
import type { TreeSource } from '../source/source.ts';
import type { ReadOutcome } from './contract.ts';
import { TreeError } from './errors.ts';
import { isAbsent } from './failures.ts';
import { TreeLimits } from './limits.ts';
import type { Looks } from './looks.ts';
import type { ByteString } from './names.ts';
import type { TreeNode } from './node.ts';
import { Remembered } from './remembered.ts';

export class Content {
  readonly #source: TreeSource;
  readonly #looks: Looks;
  readonly #targets = new WeakMap<TreeNode, Remembered<ByteString>>();

  constructor(source: TreeSource, looks: Looks) {
    this.#source = source;
    this.#looks = looks;
  }

  /**
   * Reads into `target` at `offset`. Short only at the end of the file, which the node's attributes then agree with. After a
   * rejection the kernel may still write to the target: never use it again.
   * @param wanted called before a queued read begins: false if no client waits for it any more.
   */
  async read(node: TreeNode, offset: number, target: Buffer, wanted?: () => boolean): Promise<ReadOutcome> {
    if (node.kind === 'directory') throw new TreeError('isdir');
    if (node.kind !== 'file') throw new TreeError('inval', 'not a regular file');
    let attributes = node.attributes ?? (await this.#looks.attributes(node));
    if (offset >= attributes.size) attributes = await this.#looks.attributes(node);
    else if (performance.now() - node.attributesAt > TreeLimits.readFresh)
      this.#looks.look(node).catch(() => undefined);
    if (offset >= attributes.size || target.length === 0)
      return { length: 0, eof: offset >= attributes.size };
    const length = Math.min(target.length, attributes.size - offset);
    const part = length === target.length ? target : target.subarray(0, length);
    try {
      const got = await this.#source.file(node.path).read(part, offset, wanted);
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

  async readlink(node: TreeNode): Promise<ByteString> {
    if (node.kind !== 'symlink') throw new TreeError('inval', 'not a symbolic link');
    const target = this.#targets.get(node) ?? new Remembered<ByteString>();
    this.#targets.set(node, target);
    return await target.get(() => this.#source.readlink(node.path));
  }
}
