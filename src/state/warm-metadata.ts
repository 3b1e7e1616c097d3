/** Keeps the last good metadata of each export in the state directory. */
import type { Logger } from '../log/index.ts';
import type { Tree } from '../tree/tree.ts';
import { StateStore } from './store.ts';

/** How often the metadata is saved, in ms. */
const saveInterval = 60_000;

export class WarmMetadata {
  readonly #store: StateStore;
  readonly #log: Logger;
  readonly #trees = new Map<string, Tree>();
  #timer: NodeJS.Timeout | undefined;
  #saving: Promise<void> = Promise.resolve();

  /** Throws when the folder cannot be made. */
  constructor(folder: string, log: Logger) {
    this.#store = new StateStore(folder);
    this.#log = log;
    this.#timer = setInterval(() => void this.save(), saveInterval).unref();
  }

  /** Loads what an earlier process saved of an export, and saves this export from now on. Blocks: for start-up only. */
  resume(exportName: string, tree: Tree): void {
    this.#trees.set(exportName, tree);
    const file = fileOf(exportName);
    try {
      const lines = this.#store.readLines(file);
      if (!lines) return;
      const objects = tree.resumeWarm(lines);
      this.#log.info({ export: exportName, file, objects }, 'loaded the metadata of the last run');
    } catch (error) {
      this.#log.warn({ export: exportName, file, reason: String(error) }, 'saved metadata not taken in');
    }
  }

  /** For an export that is not served any more. Its file is kept as it was last saved. */
  forget(exportName: string, tree: Tree): void {
    if (this.#trees.get(exportName) === tree) this.#trees.delete(exportName);
  }

  /** Saves every export, after any save that is still running. Never rejects. */
  save(): Promise<void> {
    this.#saving = this.#saving.then(async () => {
      for (const [name, tree] of this.#trees) {
        try {
          await this.#store.writeLines(fileOf(name), tree.warmLines());
        } catch (error) {
          this.#log.warn({ export: name, reason: String(error) }, 'metadata not saved');
        }
      }
    });
    return this.#saving;
  }

  /** Saves once more and stops. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    await this.save();
  }
}

const fileOf = (exportName: string) => `metadata-${exportName}.jsonl`;
