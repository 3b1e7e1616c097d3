/** Reads the mount table. It keeps its descriptor open, so that it works even if the process has no descriptors left. */
import { openSync, read } from 'node:fs';
import { TreeError } from './errors.ts';
import { MountTable } from './mount-table.ts';

const chunk = 64 * 1024;

export class MountReader {
  readonly #readText: () => Promise<string>;
  #descriptor: number | undefined;
  #reading: Promise<MountTable> | undefined;
  #next: Promise<MountTable> | undefined;
  #last = '';
  #table = new MountTable('');

  /** @param readText for tests: returns the text of /proc/self/mountinfo, one character for each byte. */
  constructor(readText?: () => Promise<string>) {
    this.#readText = readText ?? (() => this.#read());
  }

  /**
   * Reads the table after this call. Returns the same object as before if nothing has changed. Throws `down` if the table
   * cannot be read.
   */
  fresh(): Promise<MountTable> {
    if (!this.#reading) {
      this.#reading = this.#parse().finally(() => (this.#reading = undefined));
      return this.#reading;
    }
    // A read that has already begun may miss changes made before this call: wait for the next one.
    this.#next ??= this.#reading
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined;
        return this.fresh();
      });
    return this.#next;
  }

  async #parse(): Promise<MountTable> {
    let text: string;
    try {
      text = await this.#readText();
    } catch (error) {
      throw new TreeError('down', 'the mount table cannot be read', { cause: error });
    }
    if (text !== this.#last) {
      this.#last = text;
      this.#table = new MountTable(text);
    }
    return this.#table;
  }

  async #read(): Promise<string> {
    // Open it once, at start-up, when descriptors are available. Procfs cannot hang.
    this.#descriptor ??= openSync('/proc/self/mountinfo', 'r');
    let text = '';
    for (;;) {
      const piece = await readAt(this.#descriptor, text.length);
      if (piece === '') return text;
      text += piece;
    }
  }
}

function readAt(descriptor: number, position: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const buffer = Buffer.allocUnsafe(chunk);
    read(descriptor, buffer, 0, chunk, position, (error, length) => {
      if (error) reject(error);
      else resolve(buffer.toString('latin1', 0, length));
    });
  });
}

/** The reader that the whole process shares. */
export const mountReader = new MountReader();
