/**
 * Objects of a healthy source that do not answer, or whose error was confirmed. Whoever asks for one meanwhile is refused at
 * once; after a cool-down one call gets a permit to try, and decides for all.
 */
import { LRUCache } from 'lru-cache';
import { TreeError, type TreeErrorCode } from './errors.ts';
import { SourceLimits } from './limits.ts';

/** What did not answer: a piece of the content, attributes or a listing. */
export type Aspect = 'content' | 'attributes' | 'listing';

interface Case {
  readonly aspect: Aspect;
  readonly path: string;
  readonly code: TreeErrorCode;
  readonly strikes: number;
  /** performance.now() from which one call may try. */
  until: number;
  /** The permit of the call that tries now. */
  trying: Permit | undefined;
}

export interface QuarantineCase {
  readonly path: string;
  readonly aspect: Aspect;
  /** `timeout`: no answer; any other: the error that was confirmed. */
  readonly code: TreeErrorCode;
  readonly strikes: number;
  /** Milliseconds until one call may try again; 0 when it may now, or does. */
  readonly retryIn: number;
}

export interface QuarantineEvent {
  readonly path: string;
  readonly aspect: Aspect;
  readonly code: TreeErrorCode;
  readonly released: boolean;
  /** Times in a row that it failed. */
  readonly strikes: number;
  /** Milliseconds until one call may try again. */
  readonly coolDown: number;
}

/** What tells cases apart: one object may fail in several ways, a file in several places. */
export const caseKey = (aspect: Aspect, path: string, place = ''): string => `${aspect} ${path}\0${place}`;

/** Leave to ask the source for one object. It is settled exactly once; what comes later changes nothing, but for an answer. */
export class Permit {
  readonly #quarantine: Quarantine;
  readonly #key: string;
  readonly #aspect: Aspect;
  readonly #path: string;
  /** The error of the case, when this is the one try after its cool-down. */
  readonly retryOf: TreeError | undefined;
  #settled = false;

  constructor(quarantine: Quarantine, key: string, aspect: Aspect, path: string, retryOf?: TreeError) {
    this.retryOf = retryOf;
    this.#quarantine = quarantine;
    this.#key = key;
    this.#aspect = aspect;
    this.#path = path;
  }

  /** It answered, be it late. */
  answered(): void {
    this.#settled = true;
    this.#quarantine.release(this.#key);
  }

  /** It failed by itself, while the source was well: `timeout` when it did not answer at all. */
  failed(code: TreeErrorCode): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#quarantine.convict(this.#key, this.#aspect, this.#path, code, this);
  }

  /** Nothing was learnt of the object: the source is away, or the call never began. */
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
    dispose: ({ aspect, path }) => this.#count(`${aspect} ${path}`, -1),
  });
  /** How many cases each object has: a file may have several. */
  readonly #objects = new Map<string, number>();
  readonly #onEvent: (event: QuarantineEvent) => void;

  constructor(onEvent: (event: QuarantineEvent) => void) {
    this.#onEvent = onEvent;
  }

  get size(): number {
    return this.#cases.size;
  }

  /** Those that went in last, at most `most`. */
  latest(most: number): QuarantineCase[] {
    const now = performance.now();
    return [...this.#cases.values()].slice(0, most).map(({ path, aspect, code, strikes, until }) => ({
      path,
      aspect,
      code,
      strikes,
      retryIn: Math.max(0, until - now),
    }));
  }

  /**
   * Leave to ask for an object; throws the error of its case while it cools down, or while another call tries.
   * @param place tells pieces of one content apart.
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

  /** For a call that has begun without being asked to. */
  permit(aspect: Aspect, path: string, place = ''): Permit {
    return new Permit(this, caseKey(aspect, path, place), aspect, path);
  }

  /** Whether an object, or any place in it, is in quarantine. */
  knows(aspect: Aspect, path: string): boolean {
    return this.#cases.size > 0 && (this.#objects.get(`${aspect} ${path}`) ?? 0) > 0;
  }

  release(key: string): void {
    if (this.#cases.size === 0) return;
    const found = this.#cases.peek(key);
    if (!found) return;
    this.#cases.delete(key);
    const { path, aspect, code, strikes } = found;
    this.#onEvent({ path, aspect, code, released: true, strikes, coolDown: 0 });
  }

  /** Calls that had begun together count as one. */
  convict(key: string, aspect: Aspect, path: string, code: TreeErrorCode, permit: Permit): void {
    const found = this.#cases.peek(key);
    if (found && found.trying !== permit) return;
    if (!found) this.#count(`${aspect} ${path}`, 1);
    const strikes = (found?.strikes ?? 0) + 1;
    const [first, most] =
      code === 'timeout'
        ? [SourceLimits.coolDown, SourceLimits.coolDownMax]
        : [SourceLimits.errorCoolDown, SourceLimits.errorCoolDownMax];
    const coolDown = Math.min(most, first * 2 ** (strikes - 1));
    const until = performance.now() + coolDown;
    this.#cases.set(key, { aspect, path, code, strikes, until, trying: undefined });
    this.#onEvent({ path, aspect, code, released: false, strikes, coolDown });
  }

  #count(object: string, change: number): void {
    const count = (this.#objects.get(object) ?? 0) + change;
    if (count > 0) this.#objects.set(object, count);
    else this.#objects.delete(object);
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

  /** Another mount: nothing of the old one's trouble counts. */
  clear(): void {
    this.#cases.clear();
  }
}
