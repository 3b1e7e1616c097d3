/**
 * Recently healthy objects: files that were read, names that were seen. When one object fails, others are asked, to tell a
 * broken object from a source that is shutting down.
 */
import { LRUCache } from 'lru-cache';
import { SourceLimits } from './limits.ts';

/** `well`: another object answers. `unwell`: none of those asked does. `none`: no other object is known. */
export type Opinion = 'well' | 'unwell' | 'none';

interface Witness {
  /** performance.now() of its last good answer. */
  at: number;
  /** The range of a file to read again. */
  place: number;
  length: number;
}

/** The most other objects that are asked. */
const asked = 4;
/** Entries of a listing that may be asked: more than `asked`, as some may be gone or be the object in question. */
const fromListing = 2 * asked;
/** Directories whose entries are remembered, so that an unchanged listing renews them. */
const directories = 1_024;

export class Opinions {
  readonly #witnesses = new LRUCache<string, Witness>({ max: SourceLimits.opinions });
  readonly #ask: (path: string, place: number, length: number) => Promise<boolean>;
  readonly #listed = new LRUCache<string, readonly string[]>({ max: directories });
  #asking: Promise<Opinion> | undefined;
  #askingFor = '';

  /** @param ask whether the object at `path` still answers. Must settle in bounded time. */
  constructor(ask: (path: string, place: number, length: number) => Promise<boolean>) {
    this.#ask = ask;
  }

  /** Notes a good answer. */
  note(path: string, place = 0, length = 0): void {
    const known = this.#witnesses.get(path);
    const at = performance.now();
    if (!known) {
      this.#witnesses.set(path, { at, place, length });
      return;
    }
    known.at = at;
    known.place = place;
    known.length = length;
  }

  /** Notes entries of a listing. Names that come with it are not asked for one by one. */
  noteListing(directory: string, names: readonly string[]): void {
    this.#listed.set(
      directory,
      names.slice(0, fromListing).map((name) => `${directory}/${name}`),
    );
    this.noteUnchanged(directory);
  }

  /** The directory still has the entries that it had at `noteListing`. */
  noteUnchanged(directory: string): void {
    for (const path of this.#listed.get(directory) ?? []) this.note(path);
  }

  /** Whether the object gave a good answer within the last `ms`. */
  hasAnswered(path: string, ms: number): boolean {
    const known = this.#witnesses.peek(path);
    return known !== undefined && performance.now() - known.at <= ms;
  }

  /** Removes an object that is gone or broken. */
  forget(path: string): void {
    this.#witnesses.delete(path);
  }

  /** Asks other objects now: not `path`, nor anything above or below it. */
  async about(path: string): Promise<Opinion> {
    // Parallel calls about the same object share one answer.
    if (this.#asking && this.#askingFor === path) return await this.#asking;
    this.#askingFor = path;
    const asking = this.#askOthers(path).finally(() => {
      if (this.#asking === asking) this.#asking = undefined;
    });
    this.#asking = asking;
    return await asking;
  }

  async #askOthers(path: string): Promise<Opinion> {
    const others = this.#others(path);
    for (const [other, { place, length }] of others) if (await this.#ask(other, place, length)) return 'well';
    return others.length > 0 ? 'unwell' : 'none';
  }

  #others(path: string): [string, Witness][] {
    const before = performance.now() - SourceLimits.opinionAge;
    const found: [string, Witness][] = [];
    for (const [other, witness] of this.#witnesses.entries()) {
      if (witness.at < before) break;
      if (other === path || other.startsWith(`${path}/`) || path.startsWith(`${other}/`)) continue;
      found.push([other, witness]);
      if (found.length === asked) break;
    }
    return found;
  }
}
