/** Keeps in the state directory which mounts were seen below each export, so that they are expected after a restart. */
import type { Logger } from '../log/index.ts';
import { StateStore } from './store.ts';

/** Grows when the lines change their meaning; others are not read. */
const version = 1;

export class KnownMounts {
  readonly #store: StateStore;
  readonly #log: Logger;
  /** What each file holds, or will. */
  readonly #saved = new Map<string, string>();
  #saving: Promise<void> = Promise.resolve();

  /** Throws when the folder cannot be made. */
  constructor(folder: string, log: Logger) {
    this.#store = new StateStore(folder);
    this.#log = log;
  }

  /** Places as '/name' that were seen below this path, byte strings; '' for the path itself. For start-up: it blocks. */
  read(exportName: string, path: string): string[] {
    const file = fileOf(exportName);
    try {
      const lines = this.#store.readLines(file);
      if (!lines) return [];
      const places = parse(lines, path);
      this.#saved.set(exportName, places.join('\n'));
      return places;
    } catch (error) {
      this.#log.warn({ export: exportName, file, reason: String(error) }, 'known mounts not taken in');
      return [];
    }
  }

  /** Replaces what is kept, if it differs. Never rejects. */
  save(exportName: string, path: string, places: readonly string[]): Promise<void> {
    const text = places.join('\n');
    if ((this.#saved.get(exportName) ?? '') === text) return this.#saving;
    this.#saved.set(exportName, text);
    this.#saving = this.#saving.then(async () => {
      try {
        await this.#store.writeLines(fileOf(exportName), linesOf(path, places));
      } catch (error) {
        this.#log.warn({ export: exportName, reason: String(error) }, 'known mounts not saved');
      }
    });
    return this.#saving;
  }
}

const fileOf = (exportName: string) => `mounts-${exportName}.jsonl`;

async function* linesOf(path: string, places: readonly string[]): AsyncGenerator<string> {
  yield await Promise.resolve(JSON.stringify({ holdfast: 'mounts', version, path }));
  for (const place of places) yield JSON.stringify(place);
}

/** None when they are those of another path. Throws when they are nothing that was written here. */
function parse([head = '', ...lines]: readonly string[], path: string): string[] {
  const header = JSON.parse(head) as Record<string, unknown> | null;
  if (header?.['holdfast'] !== 'mounts' || header['version'] !== version)
    throw new Error('written for another version');
  if (header['path'] !== path) return [];
  return lines.filter(Boolean).map((line) => {
    const place: unknown = JSON.parse(line);
    if (typeof place !== 'string' || !/^(\/[^/\0]+)*$/.test(place) || /\/\.\.?(\/|$)/.test(place))
      throw new Error('not a place of a mount');
    return place;
  });
}
