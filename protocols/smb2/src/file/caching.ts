/** What a client may cache: the common part of oplocks and leases ([MS-SMB2] 3.3.1.10, 3.3.1.12). */
import type { Reply } from '../context/reply.ts';
import { StatusError } from '../errors.ts';
import { LeaseState } from '../wire/constants.ts';
import { Status } from '../wire/status.ts';

/** An open that holds an oplock or lease, and through which its client can be notified. */
export interface CacheHolder {
  readonly caching: Caching | undefined;
  /** Whether the open belongs to a session now. */
  readonly isConnected: boolean;
  /** Whether the open is kept on a conflict while its client is disconnected. */
  readonly isPersistent: boolean;
  /** Sends an oplock or lease break. Returns false when the client cannot be reached. */
  tell(body: Reply): boolean;
  /** Closes the open. */
  dispose(): void;
}

/** The cached file. `changed` is called when requests that wait for a break may check again. */
export interface CachedFile {
  changed(): void;
}

export abstract class Caching {
  readonly file: CachedFile;
  /** LeaseState bits that the client holds. Oplocks use the same bits. */
  state: number;
  /** The state that the client was asked to reduce to; set until the break ends. */
  breakingTo: number | undefined;
  /** Whether an open waits for the break. It stays blocked until the last step is acknowledged. */
  blocking = false;
  /** The state that all conflicts so far require. */
  #required = 0;
  #timer: NodeJS.Timeout | undefined;
  readonly #timeoutMs: number;

  constructor(file: CachedFile, state: number, timeoutMs: number) {
    this.file = file;
    this.state = state;
    this.#timeoutMs = timeoutMs;
  }

  abstract readonly kind: 'oplock' | 'lease';
  /** Lease id; undefined for an oplock. */
  abstract readonly id: string | undefined;
  /** Sends the break to the client. Returns false when the client cannot be reached. */
  protected abstract notify(to: number, ackRequired: boolean): boolean;
  /** Called when a new series of breaks starts. */
  protected begin(): void {
    // Only leases count these (epoch).
  }

  /** Whether the client must acknowledge a break from `state`. */
  protected abstract needsAck(): boolean;
  /** The first step on the way to `required`. */
  protected abstract step(required: number): number;
  /** Whether the client has a connection on which it could acknowledge. */
  protected abstract reachable(): boolean;
  /** Called when the client could not be reached or its last connection is lost. */
  protected abstract abandoned(to: number): void;

  get breaking(): boolean {
    return this.breakingTo !== undefined;
  }

  /**
   * Breaks the state to at most `to`.
   * @returns whether an acknowledgement is outstanding.
   */
  breakTo(to: number): boolean {
    if (this.breakingTo !== undefined) {
      this.#required &= to;
      return true;
    }
    if ((this.state & ~to) === 0) return false;
    this.#required = this.state & to;
    this.begin();
    return this.#send(this.step(this.#required));
  }

  #send(to: number): boolean {
    const ack = this.needsAck();
    if (!ack) {
      this.notify(to, false);
      this.state = to;
      return false;
    }
    this.breakingTo = to;
    if (!this.notify(to, true)) {
      this.#finish();
      this.abandoned(this.#required);
      this.file.changed();
      return false;
    }
    this.#timer = setTimeout(() => {
      this.#finish();
      this.blocking = false;
      this.state = LeaseState.NONE;
      this.file.changed();
    }, this.#timeoutMs);
    this.#timer.unref();
    return true;
  }

  /** @throws StatusError when no break is running or the client keeps more than it may. */
  acknowledge(state: number): void {
    if (this.breakingTo === undefined) throw new StatusError(Status.UNSUCCESSFUL);
    if ((state & ~this.breakingTo) !== 0) throw new StatusError(Status.REQUEST_NOT_ACCEPTED);
    this.#finish();
    this.state = state;
    // HANDLE is broken before the rest: RWH, RH, R, none.
    const isHandle = (state & LeaseState.HANDLE) !== 0 && (this.#required & LeaseState.HANDLE) === 0;
    const next = isHandle ? state & ~LeaseState.HANDLE : this.#required;
    if ((state & ~this.#required) !== 0 && this.#send(next)) return;
    this.blocking = false;
    this.file.changed();
  }

  /** Repeats the break, since the client may not have received it. */
  tellAgain(): void {
    if (this.breakingTo !== undefined) this.notify(this.breakingTo, true);
  }

  /** A connection of the client is lost. If it was the last one, no acknowledgement can arrive. */
  connectionLost(): void {
    if (this.breakingTo === undefined || this.reachable()) return;
    const to = this.#required;
    this.#finish();
    this.blocking = false;
    this.abandoned(to);
    this.file.changed();
  }

  #finish(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.breakingTo = undefined;
  }

  /** Ends the caching without a break, because the last open was closed. */
  drop(): void {
    this.#finish();
    this.blocking = false;
    this.state = LeaseState.NONE;
  }

  /** Whether the open shares this oplock or lease, so that it needs no break for it. */
  abstract sameAs(open: CacheHolder): boolean;
}
