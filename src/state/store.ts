/**
 * Files of the state directory. Each is replaced as a whole or not at all. The program runs without them and checks
 * what it reads.
 */
import { readFileSync, statSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from './folder.ts';
import { uniqueSuffix } from './unique-suffix.ts';

/** Largest file to accept, in bytes: this program writes none that is larger. */
const largest = 256 * 1024 * 1024;

export class StateStore {
  readonly #folder: string;

  /** Makes the folder when it is missing. Throws an Error of one line. */
  constructor(folder: string) {
    makeFolder(folder);
    this.#folder = folder;
  }

  /** Returns the lines of the last complete write; undefined when there are none. Blocks: for start-up only. */
  readLines(name: string): string[] | undefined {
    const path = join(this.#folder, name);
    let bytes: Buffer;
    try {
      if (statSync(path).size > largest) throw new Error(`${name} is larger than ${largest} bytes`);
      bytes = readFileSync(path);
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      throw error;
    }
    return bytes.toString('utf8').split('\n');
  }

  /** Writes the lines to a new file, syncs it to disk, then renames it over the old one. */
  async writeLines(name: string, lines: AsyncIterable<string>): Promise<void> {
    const path = join(this.#folder, name);
    const temporary = `${path}.${uniqueSuffix}.new`;
    try {
      const file = await open(temporary, 'w', 0o600);
      try {
        for await (const line of lines) await file.writeFile(`${line}\n`);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }
}
