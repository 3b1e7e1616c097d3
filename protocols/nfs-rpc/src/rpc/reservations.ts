import type { RpcCall } from './call.ts';

/** Bytes in use by all connections of one server. */
export interface Totals {
  requestBytes: number;
  replyBytes: number;
  /** Of replies that have waited long for their data; not part of `replyBytes`. */
  slowReplyBytes: number;
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
  /** Calls that have memory and no data yet, oldest first, with the time at which they got it. */
  readonly #holders = new Map<RpcCall, number>();
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

  /** The call has its data, or never will: from now on its memory counts as that of any reply. */
  settle(call: RpcCall): void {
    this.#holders.delete(call);
    if (call.slowBytes === 0) return;
    this.#used += call.slowBytes;
    this.#totals.replyBytes += call.slowBytes;
    this.#totals.slowReplyBytes -= call.slowBytes;
    call.slowBytes = 0;
  }

  /** The call does without its memory after all. */
  cancel(call: RpcCall): void {
    this.settle(call);
    this.give(call.reserved);
    call.reserved = 0;
  }

  /**
   * Counts calls that have waited for their data since before `since` as slow, as far as `maximum` slow bytes allow, so
   * that others get memory. True if there was one.
   */
  setAsideSlow(since: number, maximum: number): boolean {
    let any = false;
    for (const [call, heldSince] of this.#holders) {
      if (heldSince > since || this.#totals.slowReplyBytes + call.reserved > maximum) break;
      this.#holders.delete(call);
      call.slowBytes = call.reserved;
      this.#totals.slowReplyBytes += call.slowBytes;
      this.give(call.slowBytes);
      any = true;
    }
    return any;
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
    this.#holders.set(call, performance.now());
    this.#used += bytes;
    this.#totals.replyBytes += bytes;
  }
}
