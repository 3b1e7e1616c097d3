/** Deterministic mutations of recorded calls. */

/** Mulberry32: a small generator. The same seed gives the same numbers everywhere. */
export function randomSource(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) % below;
  };
}

const EDGES = [
  0, 1, 2, 3, 63, 64, 65, 255, 256, 1024, 0x10000, 0x100000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff,
];

/** Changes a few words, bytes or the length of a record, from offset `from` (a multiple of four) on. */
export function mutate(record: Buffer, random: (below: number) => number, from = 0): Buffer {
  const head = record.subarray(0, from);
  let bytes = Buffer.from(record.subarray(from));
  for (let changes = 1 + random(4); changes > 0 && bytes.length >= 4; changes--) {
    const word = random(bytes.length >> 2) * 4;
    const [before, after] = [bytes.subarray(0, word), bytes.subarray(word)];
    switch (random(7)) {
      case 0:
        bytes[random(bytes.length)] = random(256);
        break;
      case 1:
      case 2:
      case 3:
        bytes.writeUInt32BE(EDGES[random(EDGES.length)]!, word);
        break;
      case 4:
        bytes = Buffer.from(bytes.subarray(0, random(bytes.length + 1)));
        break;
      case 5:
        bytes = Buffer.concat([before, Buffer.alloc(4 * random(8), random(256)), after]);
        break;
      default:
        bytes = Buffer.concat([before, after.subarray(4)]);
    }
  }
  return Buffer.concat([head, bytes]);
}
