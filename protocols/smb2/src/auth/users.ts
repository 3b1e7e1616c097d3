import { md4 } from '../crypto/md4.ts';

/** Longest user name to look up, in UTF-16 code units ([MS-ADTS]: sAMAccountName has at most 256). */
const MAX_NAME_LENGTH = 256;

export interface User {
  /** The name as it was added. */
  readonly name: string;
  /** 16 bytes: MD4 of the password in UTF-16LE ([MS-NLMP] 3.3.1, NTOWFv1). */
  readonly ntHash: Buffer;
}

/** Upper case, one code unit for each code unit, as Windows maps names: `ß` stays as it is. */
export function upperCase(text: string): string {
  let result = '';
  for (let i = 0; i < text.length; i++) {
    const upper = text[i]!.toUpperCase();
    result += upper.length === 1 ? upper : text[i]!;
  }
  return result;
}

/** The NT hash of a password. */
export function ntHash(password: string): Buffer {
  return md4(Buffer.from(password, 'utf16le'));
}

/** The users that may log on. Names are case-insensitive. Keeps the NT hash of a password, not the password. */
export class UserStore {
  readonly #users = new Map<string, User>();

  /** @throws RangeError for an empty or overlong name, a duplicate name, or a hash that is not 16 bytes. */
  add(name: string, hash: Buffer): void {
    if (name === '' || name.length > MAX_NAME_LENGTH)
      throw new RangeError('a user name must have 1 to 256 characters');
    if (hash.length !== 16) throw new RangeError('an NT hash must have 16 bytes');
    const key = upperCase(name);
    if (this.#users.has(key)) throw new RangeError(`user ${name} exists already`);
    this.#users.set(key, { name, ntHash: Buffer.from(hash) });
  }

  addPassword(name: string, password: string): void {
    this.add(name, ntHash(password));
  }

  get size(): number {
    return this.#users.size;
  }

  find(name: string): User | undefined {
    return name.length > MAX_NAME_LENGTH ? undefined : this.#users.get(upperCase(name));
  }
}
