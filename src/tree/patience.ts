/** What the promise gives, or, when that takes longer than `ms`, the last good answer. Failures pass through. */
export async function withPatience<T>(promise: Promise<T>, ms: number, last: T): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<T>((resolve) => {
    timer = setTimeout(() => resolve(last), ms);
  });
  try {
    return await Promise.race([promise, patience]);
  } finally {
    clearTimeout(timer);
    // Whoever comes next hears of a late failure.
    promise.catch(() => undefined);
  }
}
