/** How a protocol adapter asks the tree: at once where it can, with patience while the source is away, in its own words. */
import type { Awaitable } from './contract.ts';
import { failedWith } from './failures.ts';
import type { ByteString } from './names.ts';
import type { TreeNode } from './node.ts';
import type { Tree } from './tree.ts';
import type { Waiter } from './waiters.ts';

/** The part of a protocol's request that is needed here. The signal is made on first use. */
interface Abortable {
  readonly signal: AbortSignal;
}

export interface HoldTerms<C extends Abortable> {
  /** How long a request waits for a source that is away, in ms; Infinity: as long as somebody waits for the answer. */
  readonly timeoutMs: number;
  /** The error of the protocol for one of the tree; what is not a tree error is a bug and stays as it is. */
  readonly translate: (error: unknown) => unknown;
  /** Address of the client that asks. */
  readonly client: (call: C) => string;
  /** Called when a request has to wait. */
  readonly onWait?: (call: C) => void;
}

/** What a request is about, for those who want to know who waits for what. */
export interface Subject {
  readonly node: TreeNode | undefined;
  /** Of an entry in it that is looked up. */
  readonly name?: ByteString | undefined;
}

/** Of an unknown object: the root's. */
const pathOf = ({ node, name }: Subject): ByteString =>
  name === undefined ? (node?.path ?? '') : `${node?.path ?? ''}/${name}`;

export const isDown = (error: unknown): boolean => failedWith(error, 'down');

/** Like `then`, but synchronous when the value is there already. */
export const andThen = <T, R>(value: Awaitable<T>, next: (value: T) => R): Awaitable<R> =>
  value instanceof Promise ? value.then(next) : next(value);

/** Does tree work for a request. An answer that is there at once is returned without a promise. */
export function hold<T, C extends Abortable>(
  tree: Tree,
  call: C,
  terms: HoldTerms<C>,
  subject: Subject,
  work: () => Awaitable<T>,
): Awaitable<T> {
  let result: Awaitable<T>;
  try {
    result = work();
    if (!(result instanceof Promise)) return result;
  } catch (error) {
    result = Promise.reject(error instanceof Error ? error : new Error(String(error)));
  }
  terms.onWait?.(call);
  return settle(tree, call, terms, subject, work, result);
}

async function settle<T, C extends Abortable>(
  tree: Tree,
  call: C,
  terms: HoldTerms<C>,
  subject: Subject,
  work: () => Awaitable<T>,
  result: Promise<T>,
): Promise<T> {
  const request = new HeldRequest(call, terms, subject);
  tree.waiters.add(request);
  try {
    return await result;
  } catch (error) {
    if (!isDown(error)) throw terms.translate(error);
    return await tree
      .resume(pathOf(subject), work, error, terms.timeoutMs, call.signal)
      .catch((failure: unknown) => {
        throw terms.translate(failure);
      });
  } finally {
    tree.waiters.delete(request);
  }
}

class HeldRequest<C extends Abortable> implements Waiter {
  readonly since = performance.now();
  readonly node: TreeNode | undefined;
  readonly name: ByteString | undefined;
  readonly #call: C;
  readonly #terms: HoldTerms<C>;

  constructor(call: C, terms: HoldTerms<C>, { node, name }: Subject) {
    this.#call = call;
    this.#terms = terms;
    this.node = node;
    this.name = name;
  }

  get client(): string {
    return this.#terms.client(this.#call);
  }
}
