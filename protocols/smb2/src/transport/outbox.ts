/** The sending side of a connection: whole frames, bounded, dropped when the client stops reading. */
import type { Socket } from 'node:net';

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

  /** Progress is judged by the bytes the kernel has taken, so that a slow but living client is kept. */
  #watch(): void {
    this.#sent = this.#socket.bytesWritten - this.#socket.writableLength;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#socket.destroyed || this.#socket.writableLength === 0) return;
      if (this.#socket.bytesWritten - this.#socket.writableLength === this.#sent) this.#stalled();
      else this.#watch();
    }, this.#timeoutMs);
    this.#timer.unref();
  }

  close(): void {
    clearTimeout(this.#timer);
  }
}
