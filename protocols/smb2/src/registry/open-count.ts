import type { Limits } from '../limits.ts';

/** Counts the opens of all clients, so that one client cannot use them all. */
export class OpenCount {
  readonly #limits: Pick<Limits, 'maxOpens' | 'maxOpensPerAddress'>;
  readonly #addresses = new Map<object, string>();
  readonly #perAddress = new Map<string, number>();

  constructor(limits: Pick<Limits, 'maxOpens' | 'maxOpensPerAddress'>) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#addresses.size;
  }

  isFull(address: string): boolean {
    const { maxOpens, maxOpensPerAddress } = this.#limits;
    return this.size >= maxOpens || (this.#perAddress.get(address) ?? 0) >= maxOpensPerAddress;
  }

  add(open: object, address: string): void {
    this.#addresses.set(open, address);
    this.#perAddress.set(address, (this.#perAddress.get(address) ?? 0) + 1);
  }

  delete(open: object): void {
    const address = this.#addresses.get(open);
    if (address === undefined) return;
    this.#addresses.delete(open);
    const left = (this.#perAddress.get(address) ?? 1) - 1;
    if (left > 0) this.#perAddress.set(address, left);
    else this.#perAddress.delete(address);
  }
}
