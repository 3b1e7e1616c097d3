/** MD4 (RFC 1320), for the NT hash of NTLM only. OpenSSL 3 no longer offers it. */

const BLOCK = 64;
const ROUND1 = [3, 7, 11, 19] as const;
const ROUND2 = [3, 5, 9, 13] as const;
const ROUND3 = [3, 9, 11, 15] as const;
const ORDER2 = [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15] as const;
const ORDER3 = [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15] as const;

const rotate = (value: number, bits: number): number => (value << bits) | (value >>> (32 - bits));

/** RFC 1320 3.4: the three rounds over one 64-byte block. */
function compress(state: Int32Array, words: Int32Array): void {
  let [a, b, c, d] = [state[0]!, state[1]!, state[2]!, state[3]!];
  for (let i = 0; i < 48; i++) {
    const step = i & 15;
    let mixed: number;
    let shift: number;
    if (i < 16) {
      mixed = a + ((b & c) | (~b & d)) + words[step]!;
      shift = ROUND1[step & 3]!;
    } else if (i < 32) {
      mixed = a + ((b & c) | (b & d) | (c & d)) + words[ORDER2[step]!]! + 0x5a827999;
      shift = ROUND2[step & 3]!;
    } else {
      mixed = a + (b ^ c ^ d) + words[ORDER3[step]!]! + 0x6ed9eba1;
      shift = ROUND3[step & 3]!;
    }
    [a, b, c, d] = [d, rotate(mixed | 0, shift), b, c];
  }
  state[0]! += a;
  state[1]! += b;
  state[2]! += c;
  state[3]! += d;
}

/** The 16-byte MD4 digest of `data`. */
export function md4(data: Uint8Array): Buffer {
  const padded = Buffer.alloc(Math.ceil((data.length + 9) / BLOCK) * BLOCK);
  padded.set(data);
  padded[data.length] = 0x80;
  padded.writeUInt32LE((data.length << 3) >>> 0, padded.length - 8);
  padded.writeUInt32LE(Math.floor(data.length / 2 ** 29), padded.length - 4);

  const state = Int32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476);
  const words = new Int32Array(16);
  for (let block = 0; block < padded.length; block += BLOCK) {
    for (let i = 0; i < 16; i++) words[i] = padded.readInt32LE(block + 4 * i);
    compress(state, words);
  }
  const digest = Buffer.alloc(16);
  state.forEach((word, i) => digest.writeInt32LE(word, 4 * i));
  return digest;
}
