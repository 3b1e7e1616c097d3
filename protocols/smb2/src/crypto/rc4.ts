/** RC4 with its state, for NTLM's key exchange and message integrity ([MS-NLMP] 3.4). */
export class Rc4 {
  readonly #state = new Uint8Array(256);
  #i = 0;
  #j = 0;

  /** @param key 1 to 256 bytes. */
  constructor(key: Uint8Array) {
    const state = this.#state;
    for (let i = 0; i < 256; i++) state[i] = i;
    for (let i = 0, j = 0; i < 256; i++) {
      j = (j + state[i]! + key[i % key.length]!) & 0xff;
      [state[i], state[j]] = [state[j]!, state[i]!];
    }
  }

  /** Returns `data` XOR the next bytes of the key stream. */
  update(data: Uint8Array): Buffer {
    const state = this.#state;
    const output = Buffer.alloc(data.length);
    for (let at = 0; at < data.length; at++) {
      this.#i = (this.#i + 1) & 0xff;
      this.#j = (this.#j + state[this.#i]!) & 0xff;
      [state[this.#i], state[this.#j]] = [state[this.#j]!, state[this.#i]!];
      output[at] = data[at]! ^ state[(state[this.#i]! + state[this.#j]!) & 0xff]!;
    }
    return output;
  }
}
