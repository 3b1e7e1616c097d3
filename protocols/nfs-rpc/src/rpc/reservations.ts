import type { RpcCall } from './call.ts';

/** Bytes in use by all connections of one server. */
export interface Totals {
  requestBytes: number;
  replyBytes: number;
}

interface Waiter {
  readonly call: RpcCall;
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Memory for the large replies of one connection, first come first served. One reply is always allowed. */
export class Reservations {
  readonly #fits: (bytes: number, used: number) => boolean;
  readonly #totals: Totals;
  readonly #waiters: Waiter[] = [];
  #used = 0;

  constructor(totals: Totals, fits: (bytes: number, used: number) => boolean) {
    this.#totals = totals;
    this.#fits = fits;
  }

  get waiting(): number {
    return this.#waiters.length;
  }

  /** Undefined when granted at once. */
  take(call: RpcCall, bytes: number): Promise<void> | undefined {
    if (this.#waiters.length === 0 && this.#allowed(bytes)) {
      this.#grant(call, bytes);
      return undefined;
    }
    return new Promise((resolve, reject) => {
      this.#waiters.push({ call, bytes, resolve, reject });
    });
  }

  /** Gives back what a reply held. */
  give(bytes: number): void {
    this.#used -= bytes;
    this.#totals.replyBytes -= bytes;
  }

  admit(): void {
    while (this.#waiters.length > 0 && this.#allowed(this.#waiters[0]!.bytes)) {
      const { call, bytes, resolve } = this.#waiters.shift()!;
      this.#grant(call, bytes);
      resolve();
    }
  }

  rejectAll(error: Error): void {
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
  }

  #allowed(bytes: number): boolean {
    return this.#used === 0 || this.#fits(bytes, this.#used);
  }

  #grant(call: RpcCall, bytes: number): void {
    call.reserved += bytes;
    this.#used += bytes;
    this.#totals.replyBytes += bytes;
  }
}
