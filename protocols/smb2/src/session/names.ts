/** Names as they travel in CREATE, SET_INFO and directory entries ([MS-FSCC] 2.1.5). */
import { StatusError } from '../errors.ts';
import { MalformedError } from '../wire/malformed.ts';
import { Status } from '../wire/status.ts';

/** What Windows keeps out of names, at U+F000 plus its place; cifs `mapposix`, macOS and Samba agree on it. */
const FIRST_MAPPED = 0xf001;
const MAPPED = '"*:<>?\\|';
const FIRST_PUNCTUATION = 0xf020;
const TRAILING_SPACE = '\uf028';
const TRAILING_DOT = '\uf029';
// eslint-disable-next-line no-control-regex -- control characters are what it looks for
const RESERVED = /[\x01-\x1f"*:<>?\\|]/g;
// eslint-disable-next-line no-control-regex -- control characters are what it looks for
const FORBIDDEN = /[\x00-\x1f"*:<>?/|]/;
const PRIVATE = /[\uf001-\uf029]/g;

/** A backend's name as clients may see it. */
export function toWireName(name: string): string {
  const last = name.at(-1);
  RESERVED.lastIndex = 0;
  if (last !== '.' && last !== ' ' && !RESERVED.test(name)) return name;
  const mapped = name.replace(RESERVED, (character) => {
    const place = MAPPED.indexOf(character);
    return String.fromCharCode(
      place < 0 ? FIRST_MAPPED - 1 + character.charCodeAt(0) : FIRST_PUNCTUATION + place,
    );
  });
  if (last === '.') return mapped.slice(0, -1) + TRAILING_DOT;
  return last === ' ' ? mapped.slice(0, -1) + TRAILING_SPACE : mapped;
}

/** The reverse, for a name a client sends. */
export function fromWireName(name: string): string {
  return name.replace(PRIVATE, (character) => {
    const code = character.charCodeAt(0);
    if (character === TRAILING_SPACE) return ' ';
    if (character === TRAILING_DOT) return '.';
    return code < FIRST_PUNCTUATION ? String.fromCharCode(code - 0xf000) : MAPPED[code - FIRST_PUNCTUATION]!;
  });
}

export interface ParsedPath {
  /** From the root on; empty for the root itself. */
  readonly names: readonly string[];
  /** Alternate data stream; undefined for the file itself. */
  readonly stream: string | undefined;
  /** The name ends in `::$DATA`: meant is the content of a file, which a directory has not. */
  readonly isContent?: boolean;
}

const LONGEST_NAME = 255;
const invalid = (): never => {
  throw new StatusError(Status.OBJECT_NAME_INVALID);
};

/** @throws MalformedError for half a character. */
export function decodeName(bytes: Buffer): string {
  if (bytes.length % 2 !== 0) throw new MalformedError('name of odd length');
  return bytes.toString('utf16le');
}

/**
 * Splits a path with backslashes.
 * @param posix names are taken as they are, without streams and forbidden characters.
 * @throws StatusError OBJECT_NAME_INVALID.
 */
export function parsePath(path: string, posix: boolean): ParsedPath {
  if (path === '') return { names: [], stream: undefined };
  if (path.startsWith('\\')) throw new StatusError(Status.INVALID_PARAMETER);
  // Clients that pass a POSIX path on are understood, as smbd does; cifs with POSIX extensions does so up to 6.x.
  const names = path.split(/[\\/]/);
  let stream: string | undefined;
  let isContent = false;
  if (!posix) {
    const last = names.pop()!;
    const split = splitStream(last);
    stream = split.stream;
    isContent = stream === undefined && split.name !== last;
    if (split.name !== '' || names.length > 0 || stream === undefined) names.push(split.name);
  }
  for (const name of names) checkName(name, posix);
  const mapped = posix ? names : names.map(fromWireName).map(checkMapped);
  return { names: mapped, stream, ...(isContent && { isContent }) };
}

function splitStream(last: string): { name: string; stream: string | undefined } {
  const [name, stream, type, ...more] = last.split(':');
  if (stream === undefined) return { name: last, stream: undefined };
  if (more.length > 0 || (type !== undefined && type.toUpperCase() !== '$DATA')) return invalid();
  if (stream === '' && type === undefined) return invalid();
  if (stream.includes('\0') || stream.includes('/') || stream.length > LONGEST_NAME) return invalid();
  return { name: name!, stream: stream === '' ? undefined : stream };
}

function checkName(name: string, posix: boolean): void {
  if (name === '..') throw new StatusError(Status.OBJECT_PATH_SYNTAX_BAD);
  if (name === '' || name === '.' || name.length > LONGEST_NAME) invalid();
  if (posix ? name.includes('\0') || name.includes('/') : FORBIDDEN.test(name)) invalid();
}

/** The mapping back may have produced what no backend may see. */
function checkMapped(name: string): string {
  return name === '.' || name === '..' || name.includes('\\') ? invalid() : name;
}

/** A single name for RENAME or LINK targets and the like: `stream` when it begins with a colon. */
export const splitParent = (path: ParsedPath): { above: readonly string[]; name: string | undefined } => ({
  above: path.names.slice(0, -1),
  name: path.names.at(-1),
});
