/** Resolves with the promise's value, or with `last` if that takes longer than `ms`. Rejects if the promise does in time. */
export async function withPatience<T>(promise: Promise<T>, ms: number, last: T): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<T>((resolve) => {
    timer = setTimeout(() => resolve(last), ms);
  });
  try {
    return await Promise.race([promise, patience]);
  } finally {
    clearTimeout(timer);
    // Ignore a late failure; the next request gets its own.
    promise.catch(() => undefined);
  }
}
