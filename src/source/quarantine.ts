/**
 * Objects of a healthy source that do not answer, or whose error was confirmed. Calls for them fail at once. After a cool-down
 * one call gets a permit to try; its result decides whether the object leaves the quarantine.
 */
import { LRUCache } from 'lru-cache';
import { TreeError, type TreeErrorCode } from './errors.ts';
import { SourceLimits } from './limits.ts';

/** What failed: content, attributes or a listing. */
export type Aspect = 'content' | 'attributes' | 'listing';

interface Case {
  readonly aspect: Aspect;
  readonly path: string;
  readonly code: TreeErrorCode;
  readonly strikes: number;
  /** performance.now() of the last failure. */
  readonly failedAt: number;
  /** End of the cool-down, performance.now(): after it one call may try. */
  until: number;
  /** The permit of the call that is trying now. */
  trying: Permit | undefined;
}

export interface QuarantineCase {
  readonly path: string;
  readonly aspect: Aspect;
  /** `timeout`: no answer; else the confirmed error. */
  readonly code: TreeErrorCode;
  readonly strikes: number;
  /** performance.now() of the last failure. */
  readonly failedAt: number;
  /** Milliseconds until one call may try again; 0 if one may now or is trying. */
  readonly retryIn: number;
}

export interface QuarantineEvent {
  readonly path: string;
  readonly aspect: Aspect;
  readonly code: TreeErrorCode;
  readonly released: boolean;
  /** Consecutive failures. */
  readonly strikes: number;
  /** Milliseconds until one call may try again. */
  readonly coolDown: number;
}

/** The key of a case. One object may have several: one for each aspect, and for each region of a file. */
export const caseKey = (aspect: Aspect, path: string, place = ''): string => `${aspect} ${path}\0${place}`;

/** Permission for one call about an object. The first result settles it; later ones are ignored, except an answer. */
export class Permit {
  readonly #quarantine: Quarantine;
  readonly #key: string;
  readonly #aspect: Aspect;
  readonly #path: string;
  /** The error of the case, if this is the retry after its cool-down. */
  readonly retryOf: TreeError | undefined;
  #settled = false;

  constructor(quarantine: Quarantine, key: string, aspect: Aspect, path: string, retryOf?: TreeError) {
    this.retryOf = retryOf;
    this.#quarantine = quarantine;
    this.#key = key;
    this.#aspect = aspect;
    this.#path = path;
  }

  /** The object answered, even if late. Ends its quarantine. */
  answered(): void {
    this.#settled = true;
    this.#quarantine.release(this.#key);
  }

  /** The object failed while the source was healthy. `timeout`: it did not answer at all. */
  failed(code: TreeErrorCode): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#quarantine.convict(this.#key, this.#aspect, this.#path, code, this);
  }

  /** The call gave no information about the object: the source is absent, or the call never began. */
  withdraw(): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#quarantine.postpone(this.#key, this);
  }
}

export class Quarantine {
  readonly #cases = new LRUCache<string, Case>({
    max: SourceLimits.quarantined,
    noDisposeOnSet: true,
    dispose: ({ aspect, path }) => this.#count(aspect, path, -1),
  });
  /** Number of cases of each object: a file may have several. */
  readonly #objects = new Map<string, number>();
  /** By directory: the number of cases about attributes of its entries. */
  readonly #directories = new Map<string, number>();
  readonly #onEvent: (event: QuarantineEvent) => void;

  constructor(onEvent: (event: QuarantineEvent) => void) {
    this.#onEvent = onEvent;
  }

  get size(): number {
    return this.#cases.size;
  }

  /** The latest cases, at most `most`. */
  latest(most: number): QuarantineCase[] {
    const now = performance.now();
    return [...this.#cases.values()]
      .slice(0, most)
      .map(({ path, aspect, code, strikes, failedAt, until }) => ({
        path,
        aspect,
        code,
        strikes,
        failedAt,
        retryIn: Math.max(0, until - now),
      }));
  }

  /**
   * Returns a permit for a call. Throws the error of the case during its cool-down, or while another call is trying.
   * @param place region of a file's content; '' is the whole file.
   */
  admit(aspect: Aspect, path: string, place = ''): Permit {
    const key = caseKey(aspect, path, place);
    const found = this.#cases.size === 0 ? undefined : this.#cases.get(key);
    if (!found) return new Permit(this, key, aspect, path);
    const error = new TreeError(found.code, `in quarantine after ${found.strikes} failures`);
    if (found.trying || performance.now() < found.until) throw error;
    const permit = new Permit(this, key, aspect, path, error);
    found.trying = permit;
    return permit;
  }

  /** Returns a permit without a check, for a call that has already begun. */
  permit(aspect: Aspect, path: string, place = ''): Permit {
    return new Permit(this, caseKey(aspect, path, place), aspect, path);
  }

  /** Whether an object, or any region of it, is in quarantine. */
  knows(aspect: Aspect, path: string): boolean {
    return this.#cases.size > 0 && (this.#objects.get(`${aspect} ${path}`) ?? 0) > 0;
  }

  /** Whether attributes of any entry of a directory are in quarantine. */
  concerns(directory: string): boolean {
    return this.#cases.size > 0 && this.#directories.has(directory);
  }

  release(key: string): void {
    if (this.#cases.size === 0) return;
    const found = this.#cases.peek(key);
    if (!found) return;
    this.#cases.delete(key);
    const { path, aspect, code, strikes } = found;
    this.#onEvent({ path, aspect, code, released: true, strikes, coolDown: 0 });
  }

  /** Adds a failure. Parallel failures of an object count once: only the call with the permit adds to an existing case. */
  convict(key: string, aspect: Aspect, path: string, code: TreeErrorCode, permit: Permit): void {
    const found = this.#cases.peek(key);
    if (found && found.trying !== permit) return;
    if (!found) this.#count(aspect, path, 1);
    const strikes = (found?.strikes ?? 0) + 1;
    const [first, most] =
      code === 'timeout'
        ? [SourceLimits.coolDown, SourceLimits.coolDownMax]
        : [SourceLimits.errorCoolDown, SourceLimits.errorCoolDownMax];
    const coolDown = Math.min(most, first * 2 ** (strikes - 1));
    const failedAt = performance.now();
    const until = failedAt + coolDown;
    this.#cases.set(key, { aspect, path, code, strikes, failedAt, until, trying: undefined });
    this.#onEvent({ path, aspect, code, released: false, strikes, coolDown });
  }

  #count(aspect: Aspect, path: string, change: number): void {
    add(this.#objects, `${aspect} ${path}`, change);
    if (aspect === 'attributes') add(this.#directories, path.slice(0, path.lastIndexOf('/')), change);
  }

  postpone(key: string, permit: Permit): void {
    const found = this.#cases.peek(key);
    if (found?.trying === permit) found.trying = undefined;
  }

  /** Ends the cool-down of an object's cases: the next call may try. Returns how many there were. */
  retry(aspect: Aspect, path: string): number {
    let cases = 0;
    for (const one of this.#cases.values()) {
      if (one.aspect !== aspect || one.path !== path) continue;
      one.until = 0;
      cases += 1;
    }
    return cases;
  }

  /** Empties the quarantine at a remount. */
  clear(): void {
    this.#cases.clear();
  }
}

function add(counts: Map<string, number>, key: string, change: number): void {
  const count = (counts.get(key) ?? 0) + change;
  if (count > 0) counts.set(key, count);
  else counts.delete(key);
}
