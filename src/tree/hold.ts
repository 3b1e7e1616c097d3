/** How a protocol adapter asks the tree: at once where it can, with patience while the source is away, in its own words. */
import { TreeError } from './errors.ts';
import type { Awaitable, Tree } from './tree.ts';

/** What the protocol package gives with each request; the signal is made on first use. */
interface Abortable {
  readonly signal: AbortSignal;
}

export interface HoldTerms<C extends Abortable> {
  /** How long a request waits for a source that is away, in ms; Infinity: as long as somebody waits for the answer. */
  readonly timeoutMs: number;
  /** The error of the protocol for one of the tree; what is not a tree error is a bug and stays as it is. */
  readonly translate: (error: unknown) => unknown;
  /** Told of every request that is not answered at once. */
  readonly onWait?: (call: C) => void;
}

export const isDown = (error: unknown): boolean => error instanceof TreeError && error.code === 'down';

/** Goes on with a value at once where it is there already. */
export const andThen = <T, R>(value: Awaitable<T>, next: (value: T) => R): Awaitable<R> =>
  value instanceof Promise ? value.then(next) : next(value);

/** Does tree work for a request; an answer at once stays at once. */
export function hold<T, C extends Abortable>(
  tree: Tree,
  call: C,
  terms: HoldTerms<C>,
  work: () => Awaitable<T>,
): Awaitable<T> {
  let result: Awaitable<T>;
  try {
    result = work();
  } catch (error) {
    terms.onWait?.(call);
    return waitOrFail(tree, call, terms, work, error);
  }
  if (!(result instanceof Promise)) return result;
  terms.onWait?.(call);
  return result.catch((error: unknown) => waitOrFail(tree, call, terms, work, error));
}

async function waitOrFail<T, C extends Abortable>(
  tree: Tree,
  call: C,
  terms: HoldTerms<C>,
  work: () => Awaitable<T>,
  error: unknown,
): Promise<T> {
  try {
    if (!isDown(error)) throw error;
    return await tree.resume(work, error, terms.timeoutMs, call.signal);
  } catch (failure) {
    throw terms.translate(failure);
  }
}
