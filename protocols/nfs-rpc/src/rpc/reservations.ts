import type { RpcCall } from './call.ts';

/** Bytes in use by all connections of one server. */
export interface Totals {
  requestBytes: number;
  replyBytes: number;
  /** Bytes of slow calls; not part of `replyBytes`. */
  slowReplyBytes: number;
}

interface Waiter {
  readonly call: RpcCall;
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Memory for the large replies of one connection, in order of arrival. One reply is always allowed. */
export class Reservations {
  readonly #fits: (bytes: number, used: number) => boolean;
  readonly #totals: Totals;
  readonly #waiters: Waiter[] = [];
  /** Calls that have memory but no data yet, oldest first, with the time of the grant. */
  readonly #holders = new Map<RpcCall, number>();
  #used = 0;

  constructor(totals: Totals, fits: (bytes: number, used: number) => boolean) {
    this.#totals = totals;
    this.#fits = fits;
  }

  get waiting(): number {
    return this.#waiters.length;
  }

  /** Returns undefined when granted at once. */
  take(call: RpcCall, bytes: number): Promise<void> | undefined {
    if (this.#waiters.length === 0 && this.#allowed(bytes)) {
      this.#grant(call, bytes);
      return undefined;
    }
    return new Promise((resolve, reject) => {
      this.#waiters.push({ call, bytes, resolve, reject });
    });
  }

  /** The call has finished or will not read: its slow bytes count as normal reply bytes again. */
  settle(call: RpcCall): void {
    this.#holders.delete(call);
    if (call.slowBytes === 0) return;
    this.#used += call.slowBytes;
    this.#totals.replyBytes += call.slowBytes;
    this.#totals.slowReplyBytes -= call.slowBytes;
    call.slowBytes = 0;
  }

  /** The call gives its memory back unused. */
  cancel(call: RpcCall): void {
    this.settle(call);
    this.give(call.reserved);
    call.reserved = 0;
  }

  /**
   * Counts calls that have waited for their data since before `since` as slow, up to `maximum` slow bytes, so that
   * other calls get memory. Returns true if there was one.
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

  /** Gives back the bytes of a reply. */
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
