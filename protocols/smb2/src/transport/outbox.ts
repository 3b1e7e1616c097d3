/** The sending side of a connection: whole frames, bounded, dropped when the client stops reading. */
import type { Socket } from 'node:net';

const SLOWEST_BYTES_PER_MS = 256;

export class Outbox {
  readonly #socket: Socket;
  readonly #timeoutMs: number;
  readonly #stalled: () => void;
  #timer: NodeJS.Timeout | undefined;
  #sent = -1;

  constructor(socket: Socket, timeoutMs: number, stalled: () => void) {
    this.#socket = socket;
    this.#timeoutMs = timeoutMs;
    this.#stalled = stalled;
  }

  get unsent(): number {
    return this.#socket.writableLength;
  }

  /** Sends `frame`; `release` is called when its memory may be reused, sent or not. */
  send(frame: Buffer, release?: () => void): void {
    if (this.#socket.destroyed || !this.#socket.writable) {
      release?.();
      return;
    }
    this.#socket.write(frame, () => release?.());
    if (this.#timer === undefined && this.#socket.writableLength > 0) this.#watch();
  }

  /**
   * Progress is a frame that the kernel has taken whole, so a slow but living client is kept: a large frame has the
   * time it takes at the slowest rate that is put up with.
   */
  #watch(): void {
    const patience = this.#timeoutMs + this.#socket.writableLength / SLOWEST_BYTES_PER_MS;
    this.#sent = this.#socket.bytesWritten - this.#socket.writableLength;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#socket.destroyed || this.#socket.writableLength === 0) return;
      if (this.#socket.bytesWritten - this.#socket.writableLength === this.#sent) this.#stalled();
      else this.#watch();
    }, patience);
    this.#timer.unref();
  }

  close(): void {
    clearTimeout(this.#timer);
  }
}
