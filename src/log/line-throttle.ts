/** Lines of one kind are held to this many a minute; what is left out is counted. */
const linesPerMinute = 20;

/** Keeps a client that misbehaves from filling the log. */
export class LineThrottle {
  #minute = 0;
  #lines = 0;
  #left = 0;

  /** How many lines were left out before this one; undefined when this one is left out too. */
  admit(): number | undefined {
    const minute = Math.floor(Date.now() / 60_000);
    if (minute !== this.#minute) {
      this.#minute = minute;
      this.#lines = 0;
    }
    this.#lines += 1;
    if (this.#lines > linesPerMinute) {
      this.#left += 1;
      return undefined;
    }
    const left = this.#left;
    this.#left = 0;
    return left;
  }
}
