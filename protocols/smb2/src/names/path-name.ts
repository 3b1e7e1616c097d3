/** Paths in CREATE and SET_INFO ([MS-FSCC] 2.1.5). */
import { StatusError } from '../errors.ts';
import { MalformedError } from '../wire/malformed.ts';
import { Status } from '../wire/status.ts';
import { fromPosixWireName, fromWireName } from './characters.ts';

// eslint-disable-next-line no-control-regex -- control characters are what it looks for
const FORBIDDEN = /[\x00-\x1f"*:<>?/|]/;

export interface ParsedPath {
  /** The names from the root on, as the backend has them. Empty for the root itself. */
  readonly names: readonly string[];
  /** The path as the client sent it, for replies that return a part of it. */
  readonly sent?: string;
  /** Alternate data stream; undefined for the file itself. */
  readonly stream: string | undefined;
  /** The name ends in `::$DATA`, which means the content of a file. Directories have none. */
  readonly isContent?: boolean;
}

/** In UTF-16 units of the backend's name. Escapes can make the wire form longer. */
const LONGEST_NAME = 255;
const invalid = (): never => {
  throw new StatusError(Status.OBJECT_NAME_INVALID);
};

/** @throws MalformedError for an odd number of bytes. */
export function decodeName(bytes: Buffer): string {
  if (bytes.length % 2 !== 0) throw new MalformedError('name of odd length');
  return bytes.toString('utf16le');
}

/**
 * Splits a path with backslashes.
 * @param posix takes names as they are: no streams, no forbidden characters.
 * @throws StatusError OBJECT_NAME_INVALID, OBJECT_PATH_SYNTAX_BAD or INVALID_PARAMETER.
 */
export function parsePath(path: string, posix: boolean): ParsedPath {
  if (path === '') return { names: [], stream: undefined };
  if (path.startsWith('\\')) throw new StatusError(Status.INVALID_PARAMETER);
  // Slashes are separators too, as in smbd: cifs with POSIX extensions sends them up to Linux 6.x.
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
  const mapped = names.map((name) => checkMapped(posix ? fromPosixWireName(name) : fromWireName(name)));
  return { names: mapped, stream, sent: path, ...(isContent && { isContent }) };
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
  if (name === '' || name === '.' || name.length > 2 * LONGEST_NAME) invalid();
  if (posix ? name.includes('\0') || name.includes('/') : FORBIDDEN.test(name)) invalid();
}

/** Mapping back may produce a name that a backend must not see. */
const checkMapped = (name: string): string =>
  name === '.' || name === '..' || name.length > LONGEST_NAME ? invalid() : name;

/** The rest of `sent` after component `index`, including the separator. */
export function sentBehind(sent: string, index: number): string {
  let at = -1;
  for (let component = 0; component <= index; component++) {
    const rest = sent.slice(at + 1).search(/[\\/]/);
    if (rest < 0) return '';
    at += 1 + rest;
  }
  return sent.slice(at);
}
