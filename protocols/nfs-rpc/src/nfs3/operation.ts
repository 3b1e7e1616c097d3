import {
  type Awaitable,
  type FileAttributes,
  FileType,
  type NfsBackend,
  type NfsChanges,
  NfsError,
} from '../backend.ts';
import { chain } from '../rpc/awaitable.ts';
import type { RpcCall } from '../rpc/call.ts';
import { NfsStatus } from '../status.ts';
import type { ReadTurns } from './read-turns.ts';
import type { WccAttr, WccData } from './wire.ts';

/** An object of the call, with its attributes before the call changed it. */
interface Subject<N> {
  readonly node: N;
  readonly before: WccAttr | undefined;
}

/**
 * One running call. It remembers the objects whose handles it has resolved, so that a failure reply can carry their
 * attributes.
 */
export class Operation<N> {
  readonly backend: NfsBackend<N>;
  readonly call: RpcCall;
  /** Shared by all READs of the program. */
  readonly turns: ReadTurns<N>;
  #first: Subject<N> | undefined;
  #second: Subject<N> | undefined;

  constructor(backend: NfsBackend<N>, call: RpcCall, turns: ReadTurns<N>) {
    this.backend = backend;
    this.call = call;
    this.turns = turns;
  }

  /** Resolves the handle of the call's object. */
  resolve(handle: Buffer): Awaitable<N> {
    const node = this.backend.resolve(handle, this.call);
    if (node instanceof Promise) return node.then((found) => this.#remember(found));
    return this.#remember(node);
  }

  #remember(node: N): N {
    this.#first = { node, before: undefined };
    return node;
  }

  /** Resolves the object or directory to change, and remembers its attributes before the change. */
  async resolveForChange(handle: Buffer): Promise<N> {
    const node = await this.backend.resolve(handle, this.call);
    this.#first = { node, before: this.#snapshot(node) };
    return node;
  }

  /** As `resolveForChange`, for the second directory of RENAME and LINK. */
  async resolveSecondForChange(handle: Buffer): Promise<N> {
    const node = await this.backend.resolve(handle, this.call);
    this.#second = { node, before: this.#snapshot(node) };
    return node;
  }

  /** @throws NfsError ROFS when the backend is read-only. */
  changes(): NfsChanges<N> {
    const { changes } = this.backend;
    if (changes === undefined) throw new NfsError(NfsStatus.ROFS);
    return changes;
  }

  /** @throws NfsError NOTDIR when the node is not a directory. */
  requireDirectory(node: N): Awaitable<void> {
    const check = ({ type }: FileAttributes): void => {
      if (type !== FileType.directory) throw new NfsError(NfsStatus.NOTDIR);
    };
    return chain(this.backend.cachedAttributes(node) ?? this.backend.getAttributes(node, this.call), check);
  }

  /** post_op_attr of the object. */
  attributes(): FileAttributes | undefined {
    return this.#first && this.backend.cachedAttributes(this.#first.node);
  }

  wcc(): WccData {
    return this.#wccOf(this.#first);
  }

  secondWcc(): WccData {
    return this.#wccOf(this.#second);
  }

  /** The results of a creating procedure for a new object. */
  created(node: N): { handle: Buffer; attributes: FileAttributes | undefined; wcc: WccData } {
    const { backend } = this;
    return { handle: backend.handle(node), attributes: backend.cachedAttributes(node), wcc: this.wcc() };
  }

  #wccOf(subject: Subject<N> | undefined): WccData {
    return { before: subject?.before, after: subject && this.backend.cachedAttributes(subject.node) };
  }

  #snapshot(node: N): WccAttr | undefined {
    const attributes = this.backend.cachedAttributes(node);
    return attributes && { size: attributes.size, mtime: attributes.mtime, ctime: attributes.ctime };
  }
}
