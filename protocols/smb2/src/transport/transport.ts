/**
 * One TCP connection with frames in both directions. Stops reading while the client has too many requests or unread
 * replies.
 */
import type { Socket } from 'node:net';
import type { Limits } from '../limits.ts';
import { Framer } from './framer.ts';
import { Outbox } from './outbox.ts';
import type { FrameOwner } from './outbox.ts';

const SLOWEST_BYTES_PER_MS = 64;
/** Longest time for the peer to answer our FIN with its own, in ms. */
const LINGER_MS = 1000;

export interface TransportEvents {
  /** A whole message. Errors that this throws go to `failed`. */
  received(message: Buffer): void;
  failed(error: unknown): void;
  ended(reason: string): void;
  /** The longest message to accept now, or any smaller limit that `length` does not exceed. */
  messageLimit(length: number): number;
}

/** IPv4 addresses in IPv4 form, even on a dual-stack socket. */
export const addressOf = (socket: Socket): string =>
  (socket.remoteAddress ?? '').replace(/^::ffff:(?=\d+\.)/, '');

export class Transport {
  readonly address: string;
  readonly port: number;
  readonly #socket: Socket;
  readonly #outbox: Outbox;
  readonly #limits: Limits;
  readonly #framer: Framer;
  /** When the frame being received must be complete (performance.now()). */
  #frameDue: number | undefined;
  /** Frames that were complete when the deadline was set. */
  #framesBefore = 0;
  #requestBytes = 0;
  #paused = false;
  #stopped = false;
  /** When the last bytes from the client arrived (performance.now()). */
  receivedAt = performance.now();

  constructor(socket: Socket, limits: Limits, events: TransportEvents) {
    this.#socket = socket;
    this.#limits = limits;
    this.address = addressOf(socket);
    this.port = socket.remotePort ?? 0;
    this.#outbox = new Outbox(socket, limits.sendTimeoutMs, () => events.ended('the client stopped reading'));
    this.#framer = new Framer(
      (message) => events.received(message),
      (length) => events.messageLimit(length),
    );
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => {
      this.receivedAt = performance.now();
      try {
        this.#framer.push(chunk);
      } catch (error) {
        events.failed(error);
      }
      this.#watchFrame();
      this.#regulate();
    });
    socket.on('drain', () => this.#regulate());
    socket.on('error', (error) => events.ended(error.message));
    socket.on('close', () => events.ended('closed by the client'));
    socket.on('end', () => events.ended('closed by the client'));
  }

  /** Whether reading from the socket is paused. */
  get paused(): boolean {
    return this.#paused;
  }

  /** Sets the deadline of an incomplete frame: the timeout, plus the time for its bytes at the slowest accepted rate. */
  #watchFrame(): void {
    const { missing, frames } = this.#framer;
    if (missing === 0 || frames !== this.#framesBefore) this.#frameDue = undefined;
    this.#framesBefore = frames;
    if (missing > 0)
      this.#frameDue ??= performance.now() + this.#limits.frameTimeoutMs + missing / SLOWEST_BYTES_PER_MS;
  }

  /** Whether a frame was not completed in time. */
  isOverdue(now: number): boolean {
    return this.#frameDue !== undefined && now > this.#frameDue && !this.#paused;
  }

  /** Counts memory that running requests hold. */
  hold(bytes: number): void {
    this.#requestBytes += bytes;
  }

  release(bytes: number): void {
    this.#requestBytes -= bytes;
    if (this.#paused) this.#regulate();
  }

  /** Pauses reading while running requests or unsent replies exceed their limits. */
  #regulate(): void {
    const full =
      this.#stopped ||
      this.#requestBytes > this.#limits.maxRequestBytesInFlight ||
      this.#outbox.unsent > this.#limits.maxUnsent;
    if (full === this.#paused || this.#socket.destroyed) return;
    this.#paused = full;
    if (full) this.#socket.pause();
    else {
      // The client could not send while reading was paused.
      this.#frameDue = undefined;
      this.#watchFrame();
      this.#socket.resume();
    }
  }

  /** Stops reading and does not resume. */
  stopReading(): void {
    this.#stopped = true;
    this.#regulate();
  }

  /** Sends a whole frame. Notifies its owner when the memory can be reused, whether it was sent or not. */
  send(frame: Buffer, owner?: FrameOwner): void {
    this.#outbox.send(frame, owner);
  }

  /** Sends the frames of `work` in as few segments as possible. */
  together(work: () => void): void {
    this.#socket.cork();
    work();
    this.#socket.uncork();
  }

  /**
   * Sends the frames of `lastWords`, then FIN, and waits for the FIN of the peer. Discards input: closing a socket with
   * unread bytes would send a reset, which can overtake the replies.
   */
  finish(lastWords: () => void, late: () => void): Promise<void> {
    return new Promise((resolve) => {
      if (this.#socket.destroyed) {
        resolve();
        return;
      }
      this.#socket.once('close', () => resolve());
      this.#socket.removeAllListeners('data');
      this.#outbox.end(lastWords, () => setTimeout(late, LINGER_MS).unref());
      this.#socket.resume();
    });
  }

  destroy(): void {
    this.#outbox.close();
    this.#socket.destroy();
  }
}
