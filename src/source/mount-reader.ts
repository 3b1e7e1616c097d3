/** Reads the mount table through one descriptor that is kept: procfs does not hang, and there must be a way when none is left. */
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

  /** @param readText replaced in tests: the text of /proc/self/mountinfo, one character for each byte. */
  constructor(readText?: () => Promise<string>) {
    this.#readText = readText ?? (() => this.#read());
  }

  /**
   * The table as it was at some moment after this call. The same object as long as nothing changed. Throws `down` when it
   * cannot be read.
   */
  fresh(): Promise<MountTable> {
    if (!this.#reading) {
      this.#reading = this.#parse().finally(() => (this.#reading = undefined));
      return this.#reading;
    }
    // A read that had already begun may have seen the table as it was before this call.
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
    // Opened once, before there can be any shortage of descriptors.
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

/** The one reader of this process. */
export const mountReader = new MountReader();
