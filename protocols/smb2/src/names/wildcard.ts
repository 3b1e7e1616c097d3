/**
 * Name patterns of QUERY_DIRECTORY ([MS-FSA] 2.1.4.4). All possible matches are followed at once: bit i of the state
 * says that the first i tokens can match what was read. So a character costs a few operations per 32 tokens, whatever
 * the pattern.
 */
import { foldName } from './fold.ts';

export const hasWildcards = (pattern: string): boolean => /[*?<>"]/.test(pattern);

const WORD = 32;

type Bits = Uint32Array;

const set = (bits: Bits, at: number): void => void (bits[at >>> 5]! |= 1 << (at & 31));
const has = (bits: Bits, at: number): boolean => ((bits[at >>> 5]! >>> (at & 31)) & 1) === 1;

/** Consecutive stars are one star. A DOS_STAR next to a star is dropped. */
function tokensOf(pattern: string): string[] {
  const tokens: string[] = [];
  for (const token of foldName(pattern)) {
    const last = tokens.at(-1);
    if (token === '*' && (last === '*' || last === '<')) tokens[tokens.length - 1] = '*';
    else if (!(token === '<' && (last === '*' || last === '<'))) tokens.push(token);
  }
  return tokens;
}

class Pattern {
  readonly #tokens: readonly string[];
  readonly #words: number;
  /** States that a character advances: by character, and for all other characters. */
  readonly #consuming = new Map<string, Bits>();
  readonly #consumingOthers: Bits;
  /** States that stay on any character (`*`), and states that stay up to the last dot (`<`). */
  readonly #stars: Bits;
  readonly #dosStars: Bits;
  /** Whether the pattern has `>` or `"`, which match nothing before a dot or at the end. */
  readonly #hasOptional: boolean;
  #state: Bits;
  #next: Bits;

  constructor(pattern: string) {
    const tokens = tokensOf(pattern);
    this.#tokens = tokens;
    this.#words = Math.ceil((tokens.length + 1) / WORD);
    this.#consumingOthers = this.#where((token) => token === '?' || token === '>');
    this.#stars = this.#where((token) => token === '*');
    this.#dosStars = this.#where((token) => token === '<');
    this.#hasOptional = tokens.some((token) => token === '>' || token === '"');
    for (const character of new Set([...tokens.filter((token) => !hasWildcards(token)), '.']))
      this.#consuming.set(
        character,
        this.#where(
          (token) =>
            token === character || token === '?' || (character === '.' ? token === '"' : token === '>'),
        ),
      );
    this.#state = new Uint32Array(this.#words);
    this.#next = new Uint32Array(this.#words);
  }

  #where(is: (token: string) => boolean): Bits {
    const bits = new Uint32Array(this.#words);
    this.#tokens.forEach((token, index) => is(token) && set(bits, index));
    return bits;
  }

  matches(name: string): boolean {
    const folded = foldName(name);
    const lastDot = folded.lastIndexOf('.');
    this.#state.fill(0);
    this.#state[0] = 1;
    this.#skip(folded[0]);
    let at = 0;
    for (const character of folded) {
      at += character.length;
      const isExtension = lastDot >= 0 && at - character.length > lastDot;
      this.#step(this.#consuming.get(character) ?? this.#consumingOthers, isExtension);
      this.#skip(folded[at]);
    }
    return has(this.#state, this.#tokens.length);
  }

  #step(consuming: Bits, isExtension: boolean): void {
    const state = this.#state;
    const next = this.#next;
    let carry = 0;
    for (let word = 0; word < this.#words; word++) {
      const moving = state[word]! & consuming[word]!;
      const staying = this.#stars[word]! | (isExtension ? 0 : this.#dosStars[word]!);
      next[word] = (moving << 1) | carry | (state[word]! & staying);
      carry = moving >>> 31;
    }
    this.#state = next;
    this.#next = state;
  }

  /** Skips tokens that may match nothing: stars anywhere, DOS_QM before a dot or the end, DOS_DOT at the end. */
  #skip(following: string | undefined): void {
    const state = this.#state;
    if (this.#hasOptional && (following === undefined || following === '.')) {
      this.#tokens.forEach((token, index) => {
        if (!has(state, index)) return;
        const mayBeNothing =
          token === '*' || token === '<' || token === '>' || (token === '"' && following === undefined);
        if (mayBeNothing) set(state, index + 1);
      });
      return;
    }
    let carry = 0;
    for (let word = 0; word < this.#words; word++) {
      const stars = state[word]! & (this.#stars[word]! | this.#dosStars[word]!);
      state[word]! |= (stars << 1) | carry;
      carry = stars >>> 31;
    }
  }
}

/** Case-insensitive. The time for a name is proportional to its length. */
export function matcher(pattern: string): (name: string) => boolean {
  if (pattern === '*' || pattern === '' || pattern === '<.<') return () => true;
  const compiled = new Pattern(pattern);
  return (name) => compiled.matches(name);
}
