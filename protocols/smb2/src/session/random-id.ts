import { randomBytes } from 'node:crypto';

/** A random id of 53 bits, never 0: exact as a number, and not guessed by anybody. */
export function randomId(): number {
  for (;;) {
    const bytes = randomBytes(7);
    const id = bytes.readUIntLE(0, 6) + (bytes[6]! & 0x1f) * 2 ** 48;
    if (id !== 0) return id;
  }
}

export function randomId32(taken: { has(id: number): boolean }): number {
  for (;;) {
    const id = randomBytes(4).readUInt32LE(0);
    if (id !== 0 && id !== 0xffffffff && !taken.has(id)) return id;
  }
}
