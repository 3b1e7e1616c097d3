/** While a connection drains: keeps answers back, and withholds credits from READs. */
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
  #stopping: Stopping = 'none';
  #kept: KeptAnswer[] = [];
  /** When a READ was last granted no credits (performance.now()). Undefined while READs get credits. */
  #withheldAt: number | undefined;
  /** Set once draining has begun. */
  ending = false;

  /** @param few number of credits. When no more are left, all answers are kept, before other requests lack credits. */
  constructor(credits: Credits, few: number, send: (answers: readonly Answer[]) => void) {
    this.#credits = credits;
    this.#few = few;
    this.#send = send;
  }

  /** Sends all kept answers and serves all requests again. */
  open(): void {
    this.ending = true;
    this.#stopping = 'none';
    this.#withheldAt = undefined;
    this.#credits.forgetFew();
    this.#send(this.#kept.splice(0));
  }

  stop(who: Stopping): void {
    this.#stopping = who;
  }

  /** Grants no credits to READs. When few credits are left, all answers are kept, before other requests lack credits. */
  withholdFromReads(): void {
    this.#withheldAt = performance.now();
    this.#credits.whenFew(this.#few, () => this.stop('all'));
  }

  /** Whether a READ was last refused credits after `since` (performance.now()). */
  withheldSince(since: number): boolean {
    return this.#withheldAt !== undefined && this.#withheldAt > since;
  }

  get allStopped(): boolean {
    return this.#stopping === 'all';
  }

  /** Credits to grant in the reply to a request that asks for `requested` ([MS-SMB2] 3.3.1.2). */
  grant(command: number, requested: number): number {
    if (this.#withheldAt !== undefined && command === Command.READ) {
      this.#withheldAt = performance.now();
      return 0;
    }
    return this.#credits.grant(Math.max(1, requested));
  }

  /** Keeps the answer to `message` for the end. Returns false when it must be sent now. */
  keeps(message: readonly AnsweredRequest[], answer: Answer): boolean {
    if (this.#stopping === 'none') return false;
    const fate = fateOfAnswer(message, this.#stopping);
    if (fate === 'send') return false;
    this.#kept.push({ ...answer, fate, isRead: isRead(message) });
    return true;
  }

  /** Returns the answers to send with the FIN, in order. Drops the others. */
  takeLast(): KeptAnswer[] {
    const kept = this.#kept.splice(0);
    for (const { fate, owner } of kept) if (fate === 'drop') owner?.release();
    return lastOrder(kept);
  }

  forget(): void {
    for (const { owner } of this.#kept.splice(0)) owner?.release();
  }
}
