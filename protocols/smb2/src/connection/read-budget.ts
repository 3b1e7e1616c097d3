/** Bounds the memory that the READs of one connection hold; those that find no room wait in order. */
export class ReadBudget {
  readonly #most: number;
  #held = 0;
  readonly #waiting: { bytes: number; start: () => void }[] = [];

  constructor(most: number) {
    this.#most = most;
  }

  /** Undefined when there is room at once. */
  take(bytes: number): Promise<void> | undefined {
    if (this.#waiting.length === 0 && this.#fits(bytes)) {
      this.#held += bytes;
      return undefined;
    }
    return new Promise((start) => this.#waiting.push({ bytes, start }));
  }

  give(bytes: number): void {
    this.#held -= bytes;
    while (this.#waiting.length > 0 && this.#fits(this.#waiting[0]!.bytes)) {
      const next = this.#waiting.shift()!;
      this.#held += next.bytes;
      next.start();
    }
  }

  #fits(bytes: number): boolean {
    return this.#held === 0 || this.#held + bytes <= this.#most;
  }
}
