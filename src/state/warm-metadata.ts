/** Keeps the last good metadata of each export in the state directory. */
import type { Logger } from '../log/index.ts';
import type { Tree } from '../tree/tree.ts';
import { StateStore } from './store.ts';

/** How often what has been looked at is saved, ms. */
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

  /** Takes in what an earlier process saved of an export, and saves this one's from now on. For start-up: it blocks. */
  resume(exportName: string, tree: Tree): void {
    this.#trees.set(exportName, tree);
    const file = fileOf(exportName);
    try {
      const lines = this.#store.readLines(file);
      if (!lines) return;
      const objects = tree.resumeWarm(lines);
      this.#log.info({ export: exportName, file, objects }, 'metadata of the last run taken in');
    } catch (error) {
      this.#log.warn({ export: exportName, file, reason: String(error) }, 'saved metadata not taken in');
    }
  }

  /** An export that is not served any more: its file stays as it was last saved. */
  forget(exportName: string, tree: Tree): void {
    if (this.#trees.get(exportName) === tree) this.#trees.delete(exportName);
  }

  /** Saves every export's; waits for a save that is under way. Never rejects. */
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
