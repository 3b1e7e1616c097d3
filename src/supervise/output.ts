/** A child's output as log lines. */
import { StringDecoder } from 'node:string_decoder';
import { stripVTControlCharacters } from 'node:util';

/** Longest log line, in characters. A longer line is cut into several. */
export const longestLine = 16_384;

/** Control characters that could forge a log line on a terminal. Tabs are harmless. */
const controls = /[^\P{Cc}\t]/gu;

/** Calls `onLine` for each line of a UTF-8 stream, without colours and control characters. Leaves out empty lines. */
export class LineReader {
  readonly #decoder = new StringDecoder('utf8');
  readonly #onLine: (line: string) => void;
  #rest = '';

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  push(chunk: Buffer): void {
    const lines = (this.#rest + this.#decoder.write(chunk)).split('\n');
    this.#rest = lines.pop()!;
    for (const line of lines) this.#emit(line);
    while (this.#rest.length > longestLine) {
      this.#emit(this.#rest.slice(0, longestLine));
      this.#rest = this.#rest.slice(longestLine);
    }
  }

  /** Emits the last line when it has no line end. */
  end(): void {
    this.#emit(this.#rest + this.#decoder.end());
    this.#rest = '';
  }

  #emit(line: string): void {
    for (let at = 0; at < line.length; at += longestLine) {
      const piece = stripVTControlCharacters(line.slice(at, at + longestLine)).replace(controls, '');
      if (piece !== '') this.#onLine(piece);
    }
  }
}
