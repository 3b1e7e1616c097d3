/** Limits the memory that the READs of one connection hold. READs beyond the limit wait in order of arrival. */
export class ReadBudget {
  readonly #most: number;
  #held = 0;
  readonly #waiting: { bytes: number; start: () => void }[] = [];

  constructor(most: number) {
    this.#most = most;
  }

  /** Returns undefined when the memory is free at once. */
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
