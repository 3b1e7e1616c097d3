import type { Awaitable } from '../backend.ts';

/** Goes on with a value: at once when it is there, so that an answer at once stays free of promises. */
export function chain<T, U>(value: Awaitable<T>, next: (value: T) => Awaitable<U>): Awaitable<U> {
  return value instanceof Promise ? value.then(next) : next(value);
}
