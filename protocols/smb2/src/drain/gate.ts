/** Holds answers back while a connection comes to its end, and credits from those who read. */
import { Command } from '../wire/constants.ts';
import { fateOfAnswer, lastOrder } from './last-answers.ts';
import type { AnsweredRequest, KeptAnswer, Stopping } from './last-answers.ts';

interface Credits {
  grant(requested: number): number;
  whenFew(few: number, act: () => void): void;
  forgetFew(): void;
}

export type Answer = Omit<KeptAnswer, 'fate' | 'isRead'>;

const isRead = ([first]: readonly AnsweredRequest[]): boolean => first?.header.command === Command.READ;

export class Gate {
  readonly #credits: Credits;
  readonly #few: number;
  readonly #send: (answers: readonly Answer[]) => void;
  #stopping: Stopping = 'nobody';
  #kept: KeptAnswer[] = [];
  /** When READs last got no credits (performance.now()); undefined while they do get some. */
  #withheldAt: number | undefined;
  /** The end is near. */
  ending = false;

  /** @param few credits at which everybody is stopped who would lack them. */
  constructor(credits: Credits, few: number, send: (answers: readonly Answer[]) => void) {
    this.#credits = credits;
    this.#few = few;
    this.#send = send;
  }

  /** Serves everybody as ever, or again. */
  open(): void {
    this.ending = true;
    this.#stopping = 'nobody';
    this.#withheldAt = undefined;
    this.#credits.forgetFew();
    this.#send(this.#kept.splice(0));
  }

  stop(who: Stopping): void {
    this.#stopping = who;
  }

  /** Lets streams run out of credits; before others lack them too, everybody is stopped. */
  withholdFromReads(): void {
    this.#withheldAt = performance.now();
    this.#credits.whenFew(this.#few, () => this.stop('all'));
  }

  /** Whether READs have gone without credits since `since` (performance.now()). */
  withheldSince(since: number): boolean {
    return this.#withheldAt !== undefined && this.#withheldAt > since;
  }

  get allStopped(): boolean {
    return this.#stopping === 'all';
  }

  /** Credits for the reply to a request that asks for `requested` ([MS-SMB2] 3.3.1.2). */
  grant(command: number, requested: number): number {
    if (this.#withheldAt !== undefined && command === Command.READ) {
      this.#withheldAt = performance.now();
      return 0;
    }
    return this.#credits.grant(Math.max(1, requested));
  }

  /** Keeps the answer to `message` for the end; false when it goes out now. */
  keeps(message: readonly AnsweredRequest[], answer: Answer): boolean {
    if (this.#stopping === 'nobody') return false;
    const fate = fateOfAnswer(message, this.#stopping);
    if (fate === 'send') return false;
    this.#kept.push({ ...answer, fate, isRead: isRead(message) });
    return true;
  }

  /** What goes out with the FIN, in its order; the rest is forgotten. */
  takeLast(): KeptAnswer[] {
    const kept = this.#kept.splice(0);
    for (const { fate, owner } of kept) if (fate === 'drop') owner?.release();
    return lastOrder(kept);
  }

  forget(): void {
    for (const { owner } of this.#kept.splice(0)) owner?.release();
  }
}
