import { md4 } from '../crypto/md4.ts';

/** Longest user name that is looked up, in UTF-16 code units ([MS-ADTS] sAMAccountName holds 256). */
const MAX_NAME_LENGTH = 256;

export interface User {
  /** As it was added. */
  readonly name: string;
  /** 16 bytes: MD4 of the password in UTF-16LE ([MS-NLMP] 3.3.1, NTOWFv1). */
  readonly ntHash: Buffer;
}

/** Upper case, one code unit for one: Windows maps names so, which leaves `ß` alone. */
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

/** Who may log on. Names are case-insensitive; no password is kept, only its NT hash. */
export class UserStore {
  readonly #users = new Map<string, User>();

  /** @throws RangeError for an empty or overlong name, a name already there or a hash that is not 16 bytes. */
  add(name: string, hash: Buffer): void {
    if (name === '' || name.length > MAX_NAME_LENGTH)
      throw new RangeError('a user name has 1 to 256 characters');
    if (hash.length !== 16) throw new RangeError('an NT hash has 16 bytes');
    const key = upperCase(name);
    if (this.#users.has(key)) throw new RangeError(`user ${name} is there already`);
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
