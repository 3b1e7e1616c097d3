import { constants } from 'node:os';
import type { LeaveSpec, LeavingAnswer } from './fuse-protocol.ts';

const { EIO, ENOENT } = constants.errno;
/** When libfuse's variant closes its database, after the beginning. */
export const CGO_DATABASE_MS = 200;

/** A read that a daemon has to answer while it leaves. */
export interface LeavingRead {
  /** How many it would have got. */
  readonly bytes: number;
  /** It had come before the daemon began to leave. */
  readonly onItsWay: boolean;
  /** So had its descriptor. */
  readonly openBefore: boolean;
  readonly onDisk: boolean;
}

/** What the reads of a daemon that is leaving get. */
export class Departure {
  readonly #spec: LeaveSpec;
  readonly #beganMs = Date.now();
  #turn = 0;

  constructor(spec: LeaveSpec) {
    if (spec.answers.length === 0) throw new Error('a daemon that leaves has to answer its reads somehow');
    this.#spec = spec;
  }

  /** How many bytes the read gets, or a negative errno. */
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
