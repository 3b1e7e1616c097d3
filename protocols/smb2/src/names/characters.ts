/**
 * Maps names of the backend to names on the wire and back. Characters that Windows forbids in names are sent as
 * characters of the private use area at U+F000, as cifs (`mapposix`), macOS and Samba do. Private characters in a name
 * itself are escaped, so that every name has a unique wire form.
 */

const FIRST_MAPPED = 0xf001;
const MAPPED = '"*:<>?\\|';
const FIRST_PUNCTUATION = 0xf020;
const TRAILING_SPACE = '\uf028';
const TRAILING_DOT = '\uf029';
/** The next character is meant literally. */
const ESCAPE = '\uf07e';
// eslint-disable-next-line no-control-regex -- control characters are what it looks for
const RESERVED = /[\x01-\x1f"*:<>?\\|\uf001-\uf029\uf07e]/;
const EVERY_RESERVED = new RegExp(RESERVED, 'g');
const EVERY_PRIVATE = /\uf07e[\uf001-\uf029\uf07e]|[\uf001-\uf029]/g;

function toWire(character: string): string {
  const code = character.charCodeAt(0);
  if (code >= FIRST_MAPPED) return ESCAPE + character;
  const place = MAPPED.indexOf(character);
  return String.fromCharCode(place < 0 ? FIRST_MAPPED - 1 + code : FIRST_PUNCTUATION + place);
}

function fromWire(match: string): string {
  if (match.length === 2) return match[1]!;
  if (match === TRAILING_SPACE) return ' ';
  if (match === TRAILING_DOT) return '.';
  const code = match.charCodeAt(0);
  return code < FIRST_PUNCTUATION ? String.fromCharCode(code - 0xf000) : MAPPED[code - FIRST_PUNCTUATION]!;
}

/** The wire form of a backend's name, for clients without POSIX extensions. */
export function toWireName(name: string): string {
  const last = name.charCodeAt(name.length - 1);
  const isTrailing = last === 0x2e || last === 0x20;
  if (!isTrailing && !RESERVED.test(name)) return name;
  const mapped = name.replace(EVERY_RESERVED, toWire);
  return isTrailing ? mapped.slice(0, -1) + (last === 0x2e ? TRAILING_DOT : TRAILING_SPACE) : mapped;
}

/** The backend's name for a name from a client. */
export const fromWireName = (name: string): string => name.replace(EVERY_PRIVATE, fromWire);

/** With POSIX extensions only the path separator is mapped. */
const POSIX_RESERVED = /[\\\uf026\uf07e]/;
const EVERY_POSIX_RESERVED = new RegExp(POSIX_RESERVED, 'g');
const EVERY_POSIX_PRIVATE = /\uf07e[\uf026\uf07e]|\uf026/g;

export const toPosixWireName = (name: string): string =>
  POSIX_RESERVED.test(name) ? name.replace(EVERY_POSIX_RESERVED, toWire) : name;

export const fromPosixWireName = (name: string): string => name.replace(EVERY_POSIX_PRIVATE, fromWire);
