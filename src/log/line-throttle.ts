/** Most lines of one kind to log in a minute, for lines that a misbehaving client can cause. */
const troubleLines = 20;
/** The same for lines that every client causes: mounts and sessions. */
export const ordinaryLines = 240;

/** Limits how many log lines clients can cause. */
export class LineThrottle {
  readonly #linesPerMinute: number;
  #minute = 0;
  #lines = 0;
  #omitted = 0;

  constructor(linesPerMinute = troubleLines) {
    this.#linesPerMinute = linesPerMinute;
  }

  /**
   * Undefined when this line is left out. Otherwise fields of the line: `omitted`, how many were left out since the last one, if
   * any were.
   */
  admit(): { readonly omitted?: number } | undefined {
    const minute = Math.floor(Date.now() / 60_000);
    if (minute !== this.#minute) {
      this.#minute = minute;
      this.#lines = 0;
    }
    this.#lines += 1;
    if (this.#lines > this.#linesPerMinute) {
      this.#omitted += 1;
      return undefined;
    }
    const omitted = this.#omitted;
    this.#omitted = 0;
    return omitted === 0 ? {} : { omitted };
  }
}
