/** Lines of one kind that a misbehaving client can cause are held to this many a minute; what is left out is counted. */
const troubleLines = 20;
/** The same for what every client does: mounts and sessions. */
export const ordinaryLines = 240;

/** Keeps clients from filling the log. */
export class LineThrottle {
  readonly #linesPerMinute: number;
  #minute = 0;
  #lines = 0;
  #left = 0;

  constructor(linesPerMinute = troubleLines) {
    this.#linesPerMinute = linesPerMinute;
  }

  /** How many lines were left out before this one; undefined when this one is left out too. */
  admit(): number | undefined {
    const minute = Math.floor(Date.now() / 60_000);
    if (minute !== this.#minute) {
      this.#minute = minute;
      this.#lines = 0;
    }
    this.#lines += 1;
    if (this.#lines > this.#linesPerMinute) {
      this.#left += 1;
      return undefined;
    }
    const left = this.#left;
    this.#left = 0;
    return left;
  }
}
