import type { Awaitable } from '../backend.ts';
import type { CallContext, Credential, Peer } from './context.ts';
import type { SlabPool } from './pool.ts';
import { ReplyWriter } from './reply.ts';

/** What a call needs from the transport it came by. */
export interface CallLink {
  readonly peer: Peer;
  readonly pool: SlabPool;
  /** Sets bytes aside for a large reply; waits until they may be used. Rejects when the connection is gone. */
  reserve(call: RpcCall, bytes: number): Awaitable<void>;
  /** The call gives back what was set aside for it. */
  cancelReservation(call: RpcCall): void;
  bug(error: unknown, where: string): void;
}

/** One RPC call on its way from the record to the reply. */
export class RpcCall implements CallContext {
  readonly xid: number;
  readonly credential: Credential;
  /** `NFS` and `READ`, for the hooks. */
  readonly program: string;
  readonly procedure: string;
  readonly bytesIn: number;
  readonly startedAt = performance.now();
  onRetransmission: (() => never) | undefined = undefined;

  /** Set by the procedure: its failure reply for something thrown. */
  failWith: ((error: unknown) => ReplyWriter) | undefined = undefined;
  /** A retransmission has been answered: the result of this call is dropped. */
  answered = false;
  /** The connection is gone. */
  abandoned = false;
  /** Bytes set aside for the reply. */
  reserved = 0;
  /** Those of them that count as slow. */
  slowBytes = 0;
  /** Set by who keeps the call in a queue: called once nobody waits for its result any more. */
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

  /** Its answer has gone out early. */
  answerEarly(): void {
    this.answered = true;
    this.onGivenUp?.();
  }

  /** A reply with room for `size` bytes of results; it grows when that is not enough. */
  reply(size: number): ReplyWriter {
    return new ReplyWriter(this.#link.pool, size);
  }

  /** To be waited for before a buffer of this size is taken. */
  reserve(bytes: number): Awaitable<void> {
    return this.#link.reserve(this, bytes);
  }

  cancelReservation(): void {
    this.#link.cancelReservation(this);
  }

  /** Reports something that should never have been thrown; not for calls that were abandoned meanwhile. */
  bug(error: unknown): void {
    if (!this.abandoned) this.#link.bug(error, `${this.program} ${this.procedure}`);
  }
}
