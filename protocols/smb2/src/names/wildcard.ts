/** Name patterns of QUERY_DIRECTORY ([MS-FSA] 2.1.4.4). */
import { foldName } from './fold.ts';

export const hasWildcards = (pattern: string): boolean => /[*?<>"]/.test(pattern);

/** Case-insensitive. A name is matched in time proportional to its length times that of the pattern. */
export function matcher(pattern: string): (name: string) => boolean {
  if (pattern === '*' || pattern === '' || pattern === '<.<') return () => true;
  const tokens = Array.from(foldName(pattern)).filter(
    (token, index, all) => token !== '*' || all[index - 1] !== '*',
  );
  return (name) => matches(tokens, Array.from(foldName(name)));
}

/** Follows all ways through the pattern at once: `at[i]` says that the first i tokens can match what was read. */
function matches(tokens: readonly string[], name: readonly string[]): boolean {
  const lastDot = name.lastIndexOf('.');
  let at = new Array<boolean>(tokens.length + 1).fill(false);
  at[0] = true;
  skip(tokens, at, name[0]);
  for (let index = 0; index < name.length; index++) {
    const next = new Array<boolean>(tokens.length + 1).fill(false);
    for (let token = 0; token < tokens.length; token++)
      if (at[token] === true)
        step(tokens[token]!, name[index]!, token, next, index > lastDot && lastDot >= 0);
    skip(tokens, next, name[index + 1]);
    at = next;
  }
  return at[tokens.length]!;
}

function step(token: string, character: string, place: number, next: boolean[], isExtension: boolean): void {
  switch (token) {
    case '*':
      next[place] = true;
      return;
    case '<':
      // DOS_STAR takes everything up to the last dot, and all of a name without one.
      if (!isExtension) next[place] = true;
      return;
    case '?':
      next[place + 1] = true;
      return;
    case '>':
      if (character !== '.') next[place + 1] = true;
      return;
    case '"':
      if (character === '.') next[place + 1] = true;
      return;
    default:
      if (token === character) next[place + 1] = true;
  }
}

/** Tokens that may match nothing: stars anywhere, DOS_QM before a dot or the end, DOS_DOT at the end. */
function skip(tokens: readonly string[], at: boolean[], following: string | undefined): void {
  for (let token = 0; token < tokens.length; token++) {
    if (at[token] !== true) continue;
    const kind = tokens[token];
    if (kind === '*' || kind === '<') at[token + 1] = true;
    if (kind === '>' && (following === undefined || following === '.')) at[token + 1] = true;
    if (kind === '"' && following === undefined) at[token + 1] = true;
  }
}
