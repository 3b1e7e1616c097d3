/** What a client may cache: the common part of oplocks and leases ([MS-SMB2] 3.3.1.10, 3.3.1.12). */
import type { Reply } from '../context/reply.ts';
import { StatusError } from '../errors.ts';
import { LeaseState } from '../wire/constants.ts';
import { Status } from '../wire/status.ts';

/** An open through which the client who caches can be told. */
export interface CacheHolder {
  readonly caching: Caching | undefined;
  /** Its client has a session now. */
  readonly isConnected: boolean;
  /** It does not give way to others while its client is away. */
  readonly isPersistent: boolean;
  /** Sends an oplock or lease break. Returns false when nobody can be reached. */
  tell(body: Reply): boolean;
  /** Closes it for good. */
  dispose(): void;
}

/** The file that is cached, told when those who wait for it may look again. */
export interface CachedFile {
  changed(): void;
}

export abstract class Caching {
  readonly file: CachedFile;
  /** LeaseState bits the client holds; an oplock is expressed in them too. */
  state: number;
  /** What the client was asked to come down to, while its acknowledgement is awaited. */
  breakingTo: number | undefined;
  /** An open waits for the break: it stays blocked until the last step is acknowledged. */
  blocking = false;
  /** What later conflicts want it to come down to. */
  #required = 0;
  #timer: NodeJS.Timeout | undefined;
  readonly #timeoutMs: number;

  constructor(file: CachedFile, state: number, timeoutMs: number) {
    this.file = file;
    this.state = state;
    this.#timeoutMs = timeoutMs;
  }

  abstract readonly kind: 'oplock' | 'lease';
  /** Of a lease. */
  abstract readonly id: string | undefined;
  /** Tells the client. Returns false when there is nobody to tell. */
  protected abstract notify(to: number, ackRequired: boolean): boolean;
  /** A new series of breaks starts. */
  protected begin(): void {
    // Only leases count them.
  }

  /** Whether coming down from `state` has to be acknowledged. */
  protected abstract needsAck(): boolean;
  /** What is asked for first on the way to `required`. */
  protected abstract step(required: number): number;
  /** Whether the client has a connection over which it may acknowledge. */
  protected abstract reachable(): boolean;
  /** The client did not answer or is not there. */
  protected abstract abandoned(to: number): void;

  get breaking(): boolean {
    return this.breakingTo !== undefined;
  }

  /**
   * Takes away all but `to`.
   * @returns whether an acknowledgement is awaited for it.
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

  /** @throws StatusError when no break is under way or the client keeps too much. */
  acknowledge(state: number): void {
    if (this.breakingTo === undefined) throw new StatusError(Status.UNSUCCESSFUL);
    if ((state & ~this.breakingTo) !== 0) throw new StatusError(Status.REQUEST_NOT_ACCEPTED);
    this.#finish();
    this.state = state;
    // The handle goes before the rest does: RWH, RH, R, none.
    const isHandle = (state & LeaseState.HANDLE) !== 0 && (this.#required & LeaseState.HANDLE) === 0;
    const next = isHandle ? state & ~LeaseState.HANDLE : this.#required;
    if ((state & ~this.#required) !== 0 && this.#send(next)) return;
    this.blocking = false;
    this.file.changed();
  }

  /** Its client may not have heard of the break. */
  tellAgain(): void {
    if (this.breakingTo !== undefined) this.notify(this.breakingTo, true);
  }

  /** A connection of the client is gone: if it was the last, nobody will acknowledge. */
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

  /** Ends it without a word: the last open is gone. */
  drop(): void {
    this.#finish();
    this.blocking = false;
    this.state = LeaseState.NONE;
  }

  /** True when both stand for the same client's cache, which needs no break against itself. */
  abstract sameAs(open: CacheHolder): boolean;
}
