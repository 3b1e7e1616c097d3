import { XdrWriter } from '../xdr/writer.ts';
import type { SlabPool } from './pool.ts';

/** Record mark (RFC 5531 §11), then xid, REPLY, MSG_ACCEPTED, an empty AUTH_NONE verifier and SUCCESS (§9). */
export const RECORD_MARK_SIZE = 4;
export const REPLY_HEADER_SIZE = RECORD_MARK_SIZE + 24;

/**
 * A reply in a pooled buffer. The results are written after room for record mark and header, so that everything goes
 * out in one write.
 */
export class ReplyWriter extends XdrWriter {
  readonly #pool: SlabPool;
  /** Offset of the record mark. Above 0 when a tuned reply did not need all its room for the header. */
  start = 0;
  /** Name of the protocol's status, for the hooks. */
  status = 'OK';
  /** Reserved bytes, given back when the reply has been sent. */
  charge = 0;

  constructor(pool: SlabPool, size: number) {
    super(pool.acquire(REPLY_HEADER_SIZE + size), REPLY_HEADER_SIZE);
    this.#pool = pool;
  }

  protected override grow(needed: number): void {
    const larger = this.#pool.acquire(Math.max(needed, this.slab.buffer.length * 2));
    this.slab.buffer.copy(larger.buffer, 0, 0, this.offset);
    this.#pool.release(this.slab);
    this.slab = larger;
  }

  get size(): number {
    return this.offset - this.start;
  }

  /** Writes the header of a successful reply before the results, with a record mark for one last fragment. */
  seal(xid: number): void {
    const { view } = this.slab;
    const at = this.start;
    view.setUint32(at, (0x8000_0000 | (this.offset - at - RECORD_MARK_SIZE)) >>> 0);
    view.setUint32(at + 4, xid);
    view.setUint32(at + 8, 1);
    view.setUint32(at + 12, 0);
    view.setUint32(at + 16, 0);
    view.setUint32(at + 20, 0);
    view.setUint32(at + 24, 0);
  }

  /** Writes the record mark only, for a reply whose header was written as results at `start + 4`. */
  mark(): void {
    this.slab.view.setUint32(this.start, (0x8000_0000 | (this.offset - this.start - RECORD_MARK_SIZE)) >>> 0);
  }

  wire(): Buffer {
    return this.slab.buffer.subarray(this.start, this.offset);
  }

  /** Returns the buffer to the pool. Only when neither the socket nor the backend uses it any more. */
  release(): void {
    this.#pool.release(this.slab);
  }
}
