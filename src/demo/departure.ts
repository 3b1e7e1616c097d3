import { constants } from 'node:os';
import type { LeaveSpec, LeavingAnswer } from './fuse-protocol.ts';

const { EIO, ENOENT } = constants.errno;
/** Ms from the start of the shutdown until Decypharr's libfuse variant closes its database. */
export const CGO_DATABASE_MS = 200;

/** A read that the daemon has to answer while it shuts down. */
export interface LeavingRead {
  /** Bytes that the read would get from a running daemon. */
  readonly bytes: number;
  /** The read arrived before the shutdown began. */
  readonly onItsWay: boolean;
  /** The descriptor was opened before the shutdown began. */
  readonly openBefore: boolean;
  readonly onDisk: boolean;
}

/** Decides how the daemon answers reads while it shuts down. */
export class Departure {
  readonly #spec: LeaveSpec;
  readonly #beganMs = Date.now();
  #turn = 0;

  constructor(spec: LeaveSpec) {
    if (spec.answers.length === 0) throw new Error('a daemon that leaves has to answer its reads somehow');
    this.#spec = spec;
  }

  /** Returns how many bytes the read gets, or a negative errno. */
  answer(read: LeavingRead): number {
    switch (this.#spec.manner) {
      case 'turns': {
        const { answers } = this.#spec;
        return inTurn(answers[this.#turn++ % answers.length]!, read.bytes);
      }
      case 'hanwen': {
        if (read.onItsWay) return 0;
        if (read.openBefore || this.#elapsedMs < this.#spec.flushMs) return -EIO;
        return read.onDisk ? read.bytes : 0;
      }
      case 'cgo':
        return this.#elapsedMs < CGO_DATABASE_MS ? -EIO : -ENOENT;
    }
  }

  get #elapsedMs(): number {
    return Date.now() - this.#beganMs;
  }
}

function inTurn(answer: LeavingAnswer, bytes: number): number {
  if (answer === 'error') return -EIO;
  return answer === 'short' ? Math.floor(bytes / 2) : 0;
}
