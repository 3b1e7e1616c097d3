/**
 * The only case fold: two names are equal without regard to case when their folds are equal. Uses Unicode's simple case
 * folding on the composed form (NFC), so that the form of accents does not matter.
 */

const ASCII = /^[\x20-\x7e]*$/;
const single = (text: string): boolean => text.length === 1 || (text.length === 2 && text > '\ud800');
/** Its upper case is I, but Unicode folds it only to itself. */
const DOTLESS_I = '\u0131';

/** Folds to upper case. A character whose other case has several characters (`ß`) stays as it is. */
function foldCharacter(character: string): string {
  if (character === DOTLESS_I) return character;
  const lower = character.toLowerCase();
  const base = single(lower) ? lower : character;
  const upper = base.toUpperCase();
  return single(upper) ? upper : base;
}

export function foldName(name: string): string {
  if (ASCII.test(name)) return name.toUpperCase();
  let folded = '';
  for (const character of name.normalize('NFC')) folded += foldCharacter(character);
  return folded;
}
