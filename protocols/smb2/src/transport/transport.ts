/** One TCP connection: frames in, frames out, and a stop of reading while its client is owed too much. */
import type { Socket } from 'node:net';
import type { Limits } from '../limits.ts';
import { Framer } from './framer.ts';
import { Outbox } from './outbox.ts';
import type { FrameOwner } from './outbox.ts';

const SLOWEST_BYTES_PER_MS = 64;
/** How long the peer may take to answer our FIN with its own. */
const LINGER_MS = 1000;

export interface TransportEvents {
  /** A whole message. What it throws is handed to `failed`. */
  received(message: Buffer): void;
  failed(error: unknown): void;
  ended(reason: string): void;
  /** The longest message accepted now, or any bound that one of this length keeps. */
  messageLimit(length: number): number;
}

/** IPv4 addresses as such, also on a socket that listens for both kinds. */
export const addressOf = (socket: Socket): string =>
  (socket.remoteAddress ?? '').replace(/^::ffff:(?=\d+\.)/, '');

export class Transport {
  readonly address: string;
  readonly port: number;
  readonly #socket: Socket;
  readonly #outbox: Outbox;
  readonly #limits: Limits;
  readonly #framer: Framer;
  /** When the frame that has begun has to be whole (performance.now()). */
  #frameDue: number | undefined;
  #requestBytes = 0;
  #paused = false;
  #stopped = false;
  /** When bytes last came from the client (performance.now()). */
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

  /** Whether bytes that have come are left unread for now. */
  get paused(): boolean {
    return this.#paused;
  }

  /** A frame that was begun has its time, and the time its bytes take at the slowest rate that is put up with. */
  #watchFrame(): void {
    const { missing } = this.#framer;
    if (missing === 0) this.#frameDue = undefined;
    else this.#frameDue ??= performance.now() + this.#limits.frameTimeoutMs + missing / SLOWEST_BYTES_PER_MS;
  }

  /** Whether a frame was begun and not finished in time. */
  isOverdue(now: number): boolean {
    return this.#frameDue !== undefined && now > this.#frameDue && !this.#paused;
  }

  /** Counts the memory of requests in progress. */
  hold(bytes: number): void {
    this.#requestBytes += bytes;
  }

  release(bytes: number): void {
    this.#requestBytes -= bytes;
    if (this.#paused) this.#regulate();
  }

  /** Stops reading while the client has too much in progress or takes too little of what it asked for. */
  #regulate(): void {
    const full =
      this.#stopped ||
      this.#requestBytes > this.#limits.maxRequestBytesInFlight ||
      this.#outbox.unsent > this.#limits.maxUnsent;
    if (full === this.#paused || this.#socket.destroyed) return;
    this.#paused = full;
    if (full) this.#socket.pause();
    else this.#socket.resume();
  }

  /** Stops reading for good. */
  stopReading(): void {
    this.#stopped = true;
    this.#regulate();
  }

  /** Sends a whole frame; its owner is told when its memory may be reused, sent or not. */
  send(frame: Buffer, owner?: FrameOwner): void {
    this.#outbox.send(frame, owner);
  }

  /** Sends what `work` sends in as few segments as possible. */
  together(work: () => void): void {
    this.#socket.cork();
    work();
    this.#socket.uncork();
  }

  /**
   * Sends what `lastWords` sends, then FIN, and waits for the peer's. What still comes is taken off the socket unseen: closing over
   * unread bytes would send a reset, which may overtake the answers.
   */
  finish(lastWords: () => void, late: () => void): Promise<void> {
    return new Promise((resolve) => {
      if (this.#socket.destroyed) {
        resolve();
        return;
      }
      this.#socket.once('close', () => resolve());
      this.#socket.removeAllListeners('data');
      this.together(lastWords);
      this.#socket.end(() => setTimeout(late, LINGER_MS).unref());
      this.#socket.resume();
    });
  }

  destroy(): void {
    this.#outbox.close();
    this.#socket.destroy();
  }
}
