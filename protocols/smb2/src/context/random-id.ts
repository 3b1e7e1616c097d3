import { randomFillSync } from 'node:crypto';

/** Random bytes are drawn in batches: drawing them for each id costs more than the rest of an open. */
const batch = Buffer.alloc(4096);
let used = batch.length;

function draw(bytes: number): number {
  if (used + bytes > batch.length) {
    randomFillSync(batch);
    used = 0;
  }
  const at = used;
  used += bytes;
  return at;
}

/** A random id of 53 bits, never 0: exact as a number and not guessable. */
export function randomId(): number {
  for (;;) {
    const at = draw(7);
    const id = batch.readUIntLE(at, 6) + (batch[at + 6]! & 0x1f) * 2 ** 48;
    if (id !== 0) return id;
  }
}

/** As {@link randomId}, but not one of `taken`. */
export function newRandomId(taken: { has(id: number): boolean }): number {
  for (;;) {
    const id = randomId();
    if (!taken.has(id)) return id;
  }
}

/** For ids with 32 bits on the wire. */
export function randomId32(taken: { has(id: number): boolean }): number {
  for (;;) {
    const id = batch.readUInt32LE(draw(4));
    if (id !== 0 && id !== 0xffffffff && !taken.has(id)) return id;
  }
}

export function randomId64(taken: { has(id: bigint): boolean }): bigint {
  for (;;) {
    const id = batch.readBigUInt64LE(draw(8));
    if (id !== 0n && id !== 0xffffffffffffffffn && !taken.has(id)) return id;
  }
}
