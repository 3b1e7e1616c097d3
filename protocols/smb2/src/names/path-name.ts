/** Paths as they travel in CREATE and SET_INFO ([MS-FSCC] 2.1.5). */
import { StatusError } from '../errors.ts';
import { MalformedError } from '../wire/malformed.ts';
import { Status } from '../wire/status.ts';
import { fromPosixWireName, fromWireName } from './characters.ts';

// eslint-disable-next-line no-control-regex -- control characters are what it looks for
const FORBIDDEN = /[\x00-\x1f"*:<>?/|]/;

export interface ParsedPath {
  /** From the root on, as the backend has them; empty for the root itself. */
  readonly names: readonly string[];
  /** What the client sent, if it did: the ends of paths are told to it in its own characters. */
  readonly sent?: string;
  /** Alternate data stream; undefined for the file itself. */
  readonly stream: string | undefined;
  /** The name ends in `::$DATA`: meant is the content of a file, which a directory has not. */
  readonly isContent?: boolean;
}

/** In UTF-16 units, as the backend has it; on the wire escapes come on top. */
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

/** The mapping back may have produced what no backend may see. */
const checkMapped = (name: string): string =>
  name === '.' || name === '..' || name.length > LONGEST_NAME ? invalid() : name;

/** What the client sent behind its component number `index`, with the separator before it. */
export function sentBehind(sent: string, index: number): string {
  let at = -1;
  for (let component = 0; component <= index; component++) {
    const rest = sent.slice(at + 1).search(/[\\/]/);
    if (rest < 0) return '';
    at += 1 + rest;
  }
  return sent.slice(at);
}
