import type { Awaitable } from '../backend.ts';

/** Passes the value to `next`: directly when it is no promise, so that no promise is made. */
export function chain<T, U>(value: Awaitable<T>, next: (value: T) => Awaitable<U>): Awaitable<U> {
  return value instanceof Promise ? value.then(next) : next(value);
}
