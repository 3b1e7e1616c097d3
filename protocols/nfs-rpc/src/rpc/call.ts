import type { Awaitable } from '../backend.ts';
import type { CallContext, Credential, Peer } from './context.ts';
import type { SlabPool } from './pool.ts';
import { ReplyWriter } from './reply.ts';

/** What a call needs from its transport. */
export interface CallLink {
  readonly peer: Peer;
  readonly pool: SlabPool;
  /** Reserves bytes for a large reply and waits until they are free. Rejects when the connection is closed. */
  reserve(call: RpcCall, bytes: number): Awaitable<void>;
  /** Gives back the bytes reserved for the call. */
  cancelReservation(call: RpcCall): void;
  bug(error: unknown, where: string): void;
}

/** One RPC call, from its record to its reply. */
export class RpcCall implements CallContext {
  readonly xid: number;
  readonly credential: Credential;
  /** `NFS` and `READ`, for the hooks. */
  readonly program: string;
  readonly procedure: string;
  readonly bytesIn: number;
  readonly startedAt = performance.now();
  onRetransmission: (() => never) | undefined = undefined;

  /** Set by the procedure: makes its failure reply from an error. */
  failWith: ((error: unknown) => ReplyWriter) | undefined = undefined;
  /** The call was answered early: its result will be dropped. */
  answered = false;
  /** The connection is closed. */
  abandoned = false;
  /** Bytes reserved for the reply. */
  reserved = 0;
  /** Reserved bytes that count as slow. */
  slowBytes = 0;
  /** Set while the call waits in a queue. Called when its result is no longer needed. */
  onGivenUp: (() => void) | undefined = undefined;

  readonly #link: CallLink;
  #abort: AbortController | undefined;

  constructor(
    link: CallLink,
    xid: number,
    credential: Credential,
    program: string,
    procedure: string,
    bytesIn: number,
  ) {
    this.#link = link;
    this.xid = xid;
    this.credential = credential;
    this.program = program;
    this.procedure = procedure;
    this.bytesIn = bytesIn;
  }

  get peer(): Peer {
    return this.#link.peer;
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.abandoned) this.#abort.abort();
    }
    return this.#abort.signal;
  }

  abandon(): void {
    this.abandoned = true;
    this.#abort?.abort();
    this.onGivenUp?.();
  }

  /** The call was answered before its procedure has finished. */
  answerEarly(): void {
    this.answered = true;
    this.onGivenUp?.();
  }

  /** Makes a reply with room for `size` bytes of results; it grows when needed. */
  reply(size: number): ReplyWriter {
    return new ReplyWriter(this.#link.pool, size);
  }

  /** Reserves memory. Wait for it before taking a buffer of this size. */
  reserve(bytes: number): Awaitable<void> {
    return this.#link.reserve(this, bytes);
  }

  cancelReservation(): void {
    this.#link.cancelReservation(this);
  }

  /** Reports an unexpected error, unless the connection of the call is closed. */
  bug(error: unknown): void {
    if (!this.abandoned) this.#link.bug(error, `${this.program} ${this.procedure}`);
  }
}
