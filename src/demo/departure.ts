import type { LeaveSpec, LeavingAnswer } from './fuse-protocol.ts';

/** What the reads of a daemon that is leaving get, in turns. */
export class Departure {
  readonly #answers: readonly LeavingAnswer[];
  #turn = 0;

  constructor({ answers }: LeaveSpec) {
    if (answers.length === 0) throw new Error('a daemon that leaves has to answer its reads somehow');
    this.#answers = answers;
  }

  /** The answer to a read that would have got `bytes`: how many it gets, or undefined for EIO. */
  next(bytes: number): number | undefined {
    const answer = this.#answers[this.#turn++ % this.#answers.length]!;
    if (answer === 'error') return undefined;
    return answer === 'short' ? Math.floor(bytes / 2) : 0;
  }
}
