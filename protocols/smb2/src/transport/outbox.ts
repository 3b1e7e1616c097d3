/** The sending side of a connection: sends whole frames, and ends the connection when the client stops reading. */
import type { Socket } from 'node:net';

const SLOWEST_BYTES_PER_MS = 256;
/** Larger frames are not merged into one write: only completed writes count as progress of the client. */
const SMALL = 16 * 1024;
/** Bytes of the last large frame that go out with the FIN: they fit in the segment that carries it. */
const TAIL = 1024;

/** Notified when the memory of a frame can be reused, whether it was sent or not. */
export interface FrameOwner {
  release(): void;
}

export class Outbox {
  readonly #socket: Socket;
  readonly #timeoutMs: number;
  readonly #stalled: () => void;
  /** Owners of the frames that the socket has not taken yet, in order. */
  readonly #owners: (FrameOwner | undefined)[] = [];
  /** The last frames, which `end` collects. */
  #last: { readonly frame: Buffer; readonly owner: FrameOwner | undefined }[] | undefined;
  #timer: NodeJS.Timeout | undefined;
  #sent = -1;
  #isCorked = false;
  readonly #written = (): void => this.#owners.shift()?.release();
  readonly #uncork = (): void => {
    this.#isCorked = false;
    this.#socket.uncork();
    this.#watchUnsent();
  };

  constructor(socket: Socket, timeoutMs: number, stalled: () => void) {
    this.#socket = socket;
    this.#timeoutMs = timeoutMs;
    this.#stalled = stalled;
  }

  get unsent(): number {
    return this.#socket.writableLength;
  }

  /** Sends `frame`. Small frames of one turn of the event loop go out in one write. */
  send(frame: Buffer, owner?: FrameOwner): void {
    if (this.#last) {
      this.#last.push({ frame, owner });
      return;
    }
    if (this.#socket.destroyed || !this.#socket.writable) {
      owner?.release();
      return;
    }
    if (frame.length <= SMALL) this.#cork();
    this.#owners.push(owner);
    this.#socket.write(frame, this.#written);
    if (!this.#isCorked) this.#watchUnsent();
  }

  /**
   * Sends the frames of `work`, then FIN. Linux answers a large READ reply with the next READ within a millisecond, and fails
   * that READ if the connection ends. So the end of the last large frame is kept until the kernel has taken everything before
   * it: then it arrives together with the FIN.
   * @param done called when everything is sent.
   */
  end(work: () => void, done: () => void): void {
    this.#last = [];
    work();
    const frames = this.#last;
    this.#last = undefined;
    const large = frames.findLastIndex(({ frame }) => frame.length > SMALL);
    const finish = () => {
      this.#socket.cork();
      for (const { frame, owner } of frames.slice(Math.max(0, large))) this.send(frame, owner);
      this.#socket.end(done);
      this.#socket.uncork();
    };
    if (large < 0) {
      finish();
      return;
    }
    for (const { frame, owner } of frames.slice(0, large)) this.send(frame, owner);
    const { frame, owner } = frames[large]!;
    frames[large] = { frame: frame.subarray(frame.length - TAIL), owner };
    this.#owners.push(undefined);
    this.#socket.write(frame.subarray(0, frame.length - TAIL), () => {
      this.#written();
      finish();
    });
    this.#watchUnsent();
  }

  #cork(): void {
    if (this.#isCorked) return;
    this.#isCorked = true;
    this.#socket.cork();
    process.nextTick(this.#uncork);
  }

  #watchUnsent(): void {
    if (this.#timer === undefined && this.#socket.writableLength > 0) this.#watch();
  }

  /**
   * Progress is a frame that the kernel has taken completely. The timeout includes the time for the unsent bytes at the
   * slowest accepted rate, so that a slow client is not disconnected.
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
