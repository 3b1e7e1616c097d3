import type { Socket } from 'node:net';
import type { ReplyWriter } from './reply.ts';

/**
 * The replies of one connection that wait for the socket. Writes one batch at a time: many small replies need one
 * system call, and the time for a batch shows whether the peer reads.
 */
export class ReplyQueue {
  readonly #socket: Socket;
  readonly #batchBytes: number;
  readonly #onSent: (replies: readonly ReplyWriter[]) => void;
  #queue: ReplyWriter[] = [];
  #sending = 0;
  #sendingSince = 0;
  #scheduled = false;
  #unsent = 0;

  /** @param onSent gets every reply once, including those that will never be sent. */
  constructor(socket: Socket, batchBytes: number, onSent: (replies: readonly ReplyWriter[]) => void) {
    this.#socket = socket;
    this.#batchBytes = batchBytes;
    this.#onSent = onSent;
  }

  /** Replies not yet passed to the kernel. */
  get length(): number {
    return this.#queue.length + this.#sending;
  }

  /** Bytes of those replies. */
  get bytes(): number {
    return this.#unsent;
  }

  /** How long the current batch has waited for the peer, in ms. */
  stalledMs(now: number): number {
    return this.#sending === 0 ? 0 : now - this.#sendingSince;
  }

  push(reply: ReplyWriter): void {
    this.#queue.push(reply);
    this.#unsent += reply.size;
  }

  /**
   * Writes at the end of this turn of the event loop, together with all replies that become ready in it. Measured with
   * 4 KiB READs of a file, 32 in flight: 1.4 times the calls per second of writing each at once. Copying the batch into
   * one buffer gains nothing over passing the buffers to writev.
   */
  schedule(): void {
    if (this.#scheduled || this.#sending > 0) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.flush();
    });
  }

  flush(): void {
    if (this.#sending > 0 || this.#queue.length === 0) return;
    const batch = this.#nextBatch();
    this.#sending = batch.length;
    this.#sendingSince = performance.now();
    const sent = (error?: Error | null): void => this.#sent(batch, error ?? undefined);
    if (batch.length === 1) {
      this.#socket.write(batch[0]!.wire(), sent);
      return;
    }
    this.#socket.cork();
    for (let index = 0; index < batch.length - 1; index++) this.#socket.write(batch[index]!.wire());
    this.#socket.write(batch[batch.length - 1]!.wire(), sent);
    this.#socket.uncork();
  }

  #nextBatch(): ReplyWriter[] {
    let bytes = 0;
    let count = 0;
    while (count < this.#queue.length) {
      bytes += this.#queue[count]!.size;
      if (count > 0 && bytes > this.#batchBytes) break;
      count++;
    }
    if (count < this.#queue.length) return this.#queue.splice(0, count);
    const all = this.#queue;
    this.#queue = [];
    return all;
  }

  #sent(batch: readonly ReplyWriter[], error: Error | undefined): void {
    this.#sending = 0;
    for (const reply of batch) {
      this.#unsent -= reply.size;
      // After an error the system may still use a buffer, so it does not return to the pool.
      if (error === undefined) reply.release();
    }
    this.#onSent(batch);
    if (error === undefined) this.flush();
  }

  /** Drops the queue, because the connection is closed. */
  clear(): void {
    const rest = this.#queue;
    this.#queue = [];
    for (const reply of rest) {
      this.#unsent -= reply.size;
      reply.release();
    }
    this.#onSent(rest);
  }
}
