import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';

/** The greatest length of a secret, in bytes. */
const longestFile = 4096;

/** A user's password or NT hash, or the secret in the key of all handles. Never appears in logs, messages or JSON. */
export class UserSecret {
  readonly kind: 'password' | 'ntHash' | 'key';
  readonly #value: string;

  constructor(kind: 'password' | 'ntHash' | 'key', value: string) {
    this.kind = kind;
    this.#value = value;
  }

  /** The password or key, or the NT hash as 32 lower-case hexadecimal digits. */
  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return '[secret]';
  }

  toJSON(): string {
    return '[secret]';
  }

  [inspect.custom](): string {
    return '[secret]';
  }
}

/** Reads a secret from a file of one line. Throws Error; its message never contains the file's content. */
export function readSecretFile(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new Error(`cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`, {
      cause: error,
    });
  }
  const line = text.replace(/\r?\n$/, '');
  if (line === '') throw new Error('is empty');
  if (Buffer.byteLength(line) > longestFile) throw new Error(`is larger than ${longestFile} bytes`);
  if (/[\r\n\0]/.test(line)) throw new Error('holds more than one line');
  return line;
}

/** Parses the content of an NT hash file: 32 hexadecimal digits. */
export function parseNtHash(text: string): string {
  const digits = text.trim();
  if (!/^[0-9A-Fa-f]{32}$/.test(digits)) throw new Error('does not hold 32 hexadecimal digits');
  return digits.toLowerCase();
}
