/** Runs a protocol request's tree work: synchronously if possible. It waits while the source is absent and translates errors. */
import type { Awaitable } from './contract.ts';
import { failedWith } from './failures.ts';
import type { ByteString } from './names.ts';
import type { TreeNode } from './node.ts';
import type { Tree } from './tree.ts';
import type { Waiter } from './waiters.ts';

/** The part of a protocol request that is used here. The signal is created on first use. */
interface Abortable {
  readonly signal: AbortSignal;
}

export interface HoldTerms<C extends Abortable> {
  /** How long a request waits for an absent source, in ms; Infinity: until the signal aborts. */
  readonly timeoutMs: number;
  /** Converts a tree error to the protocol's. Any other error is a bug and is returned unchanged. */
  readonly translate: (error: unknown) => unknown;
  /** Address of the client. */
  readonly client: (call: C) => string;
  /** Called when a request has to wait. */
  readonly onWait?: (call: C) => void;
}

/** The object of a request, for the list of waiting requests. */
export interface Subject {
  readonly node: TreeNode | undefined;
  /** Name of the entry that is looked up in `node`, if any. */
  readonly name?: ByteString | undefined;
}

/** The path of the subject; the root's if the object is unknown. */
const pathOf = ({ node, name }: Subject): ByteString =>
  name === undefined ? (node?.path ?? '') : `${node?.path ?? ''}/${name}`;

export const isDown = (error: unknown): boolean => failedWith(error, 'down');

/** Like `then`, but synchronous if the value is not a promise. */
export const andThen = <T, R>(value: Awaitable<T>, next: (value: T) => R): Awaitable<R> =>
  value instanceof Promise ? value.then(next) : next(value);

/** Runs tree work for a request. Returns the answer without a promise if it is available at once. */
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
      .resume(pathOf(subject), work, error, terms.timeoutMs, call.signal, request)
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
