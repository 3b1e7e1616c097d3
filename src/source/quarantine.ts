/**
 * Objects that missed their deadline while the source answered others. Whoever asks for one meanwhile is refused at once;
 * after a cool-down one call may try, and decides for all.
 */
import { LRUCache } from 'lru-cache';
import { TreeError } from './errors.ts';
import { SourceLimits } from './limits.ts';

interface Case {
  readonly aspect: Aspect;
  readonly path: string;
  strikes: number;
  /** performance.now() from which one call may try. */
  until: number;
  probing: boolean;
}

export interface QuarantineCase {
  readonly path: string;
  readonly aspect: Aspect;
  readonly strikes: number;
  /** Milliseconds until one call may try again; 0 when it may now, or does. */
  readonly retryIn: number;
}

export interface QuarantineEvent {
  readonly path: string;
  /** What did not answer: content, attributes or a listing. */
  readonly aspect: Aspect;
  readonly released: boolean;
  /** Times in a row that it missed its deadline. */
  readonly strikes: number;
  /** Milliseconds until one call may try again. */
  readonly coolDown: number;
}

export type Aspect = 'content' | 'attributes' | 'listing';

/** What tells cases apart: one object may hang in several ways. */
export const caseKey = (aspect: Aspect, path: string): string => `${aspect} ${path}`;

export class Quarantine {
  readonly #cases = new LRUCache<string, Case>({ max: SourceLimits.quarantined });
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
    return [...this.#cases.values()].slice(0, most).map(({ path, aspect, strikes, until }) => ({
      path,
      aspect,
      strikes,
      retryIn: Math.max(0, until - now),
    }));
  }

  /** Throws `timeout` for an object in its cool-down. */
  admit(aspect: Aspect, path: string): void {
    if (this.#cases.size === 0) return;
    const found = this.#cases.get(caseKey(aspect, path));
    if (!found) return;
    if (found.probing || performance.now() < found.until) {
      throw new TreeError('timeout', `in quarantine after ${found.strikes} missed deadlines`);
    }
    found.probing = true;
  }

  /** It answered, be it with an error. */
  answered(aspect: Aspect, path: string): void {
    if (this.#cases.size === 0) return;
    const key = caseKey(aspect, path);
    const found = this.#cases.peek(key);
    if (!found) return;
    this.#cases.delete(key);
    this.#onEvent({ path, aspect, released: true, strikes: found.strikes, coolDown: 0 });
  }

  /** It missed its deadline. Calls that had begun together count as one. */
  missed(aspect: Aspect, path: string): void {
    const key = caseKey(aspect, path);
    const found = this.#cases.peek(key);
    if (found && !found.probing) return;
    const strikes = (found?.strikes ?? 0) + 1;
    const coolDown = Math.min(SourceLimits.coolDownMax, SourceLimits.coolDown * 2 ** (strikes - 1));
    this.#cases.set(key, { aspect, path, strikes, until: performance.now() + coolDown, probing: false });
    this.#onEvent({ path, aspect, released: false, strikes, coolDown });
  }

  /** The call that was to try could not: the source itself is away. */
  postponed(aspect: Aspect, path: string): void {
    const found = this.#cases.peek(caseKey(aspect, path));
    if (found) found.probing = false;
  }

  /** Another mount: nothing of the old one's trouble counts. */
  clear(): void {
    this.#cases.clear();
  }
}
