/** Lets a few calls for each key run at once, the others in order after them. */
export class KeyedGate {
  readonly #limit: number;
  readonly #inFlight = new Map<string, number>();
  readonly #waiting = new Map<string, (() => void)[]>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Begins the work now or when its turn comes. */
  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const running = this.#inFlight.get(key) ?? 0;
    if (running < this.#limit) this.#inFlight.set(key, running + 1);
    else {
      await new Promise<void>((resolve) => {
        const waiting = this.#waiting.get(key);
        if (waiting) waiting.push(resolve);
        else this.#waiting.set(key, [resolve]);
      });
    }
    try {
      return await work();
    } finally {
      this.#leave(key);
    }
  }

  /** Hands the place to the next in line, or gives it up. */
  #leave(key: string): void {
    const waiting = this.#waiting.get(key);
    const next = waiting?.shift();
    if (waiting?.length === 0) this.#waiting.delete(key);
    if (next) {
      next();
      return;
    }
    const left = (this.#inFlight.get(key) ?? 1) - 1;
    if (left === 0) this.#inFlight.delete(key);
    else this.#inFlight.set(key, left);
  }
}
