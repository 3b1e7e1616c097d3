/**
 * Bad news is believed only from a source that is still well afterwards. An inquiry holds the bad news of one object: it
 * says "ask again" until either an answer comes, or the source has shown itself well after the news and the object has
 * repeated it: then that is the verdict. When the source goes meanwhile it was an outage, and the inquiry throws `down`.
 *
 * How long it takes depends on what is known:
 * - An object that was well a moment ago and is not any more: the source may be leaving. Its daemon can go on to answer names and
 *   the content of other files for a second or more. So such news are held for the whole grace time.
 * - One that was not, and gives the same error again while another object answers well: a dead link, and a scan meets many.
 *   Briefly. (Answers that are too short are no such errors: a daemon that leaves gives them, and next to nobody else does.)
 * - One that was convicted before: it is only made sure that the source is there.
 */
import type { TreeErrorCode } from './errors.ts';
import { SourceLimits } from './limits.ts';
import type { Opinion } from './opinions.ts';

export interface InquiryOptions {
  /** Whether the object was well in this epoch. */
  readonly wasWell: boolean;
  /** Whether another piece of the same object has had its verdict. */
  readonly convicted: boolean;
  /** Resolves when the source is there, is the one of `epoch`, and has answered since this call; throws `down` otherwise. */
  readonly confirm: () => Promise<void>;
  readonly opinion: () => Promise<Opinion>;
}

/** What happened to bad news, for the metrics. */
export class InquiryCounts {
  /** Calls that are held for a verdict now. */
  held = 0;
  /** Objects that were well and are not, now: while there are any, nothing is judged briefly. */
  suspicious = 0;
  heldTotal = 0;
  /** Ended by an answer. */
  recovered = 0;
  /** Ended by an outage. */
  outages = 0;
  readonly verdicts = new Map<News, number>();
}

/** `short`: fewer bytes than there must be. */
export type News = TreeErrorCode | 'short';

const pause = (ms: number) => new Promise<void>((resolve) => void setTimeout(resolve, ms));

export class Inquiry {
  readonly #options: InquiryOptions;
  readonly #counts: InquiryCounts;
  readonly #graceMs: number;
  readonly #since = performance.now();
  #rounds = 0;
  /** Whether another object was well after the last news. */
  #othersWell = false;
  #lastNews = '';
  #ended = false;

  constructor(options: InquiryOptions, counts: InquiryCounts, graceMs: number) {
    this.#options = options;
    this.#counts = counts;
    this.#graceMs = graceMs;
    counts.held += 1;
    counts.heldTotal += 1;
    if (options.wasWell) counts.suspicious += 1;
  }

  /**
   * The object has brought bad news (again). Resolves with `again` when it is to be asked once more, after a pause; with
   * `verdict` when the news is to be believed. Throws `down` when the source has gone.
   * @param news what kind of news it is: an error's code, or `short`.
   * @param tookMs how long it took to come: what took very long is not asked again, as that would take as long.
   */
  async weigh(news: News, tookMs = 0): Promise<'again' | 'verdict'> {
    try {
      await this.#options.confirm();
    } catch (error) {
      this.#end();
      this.#counts.outages += 1;
      throw error;
    }
    if (this.#isDue(news)) return this.#verdict(news);
    this.#lastNews = news;
    this.#othersWell = (await this.#options.opinion()) === 'well';
    if (this.#othersWell && tookMs >= SourceLimits.slowFailure) return this.#verdict(news);
    const { pauses } = SourceLimits;
    await pause(pauses[Math.min(this.#rounds, pauses.length - 1)]!);
    this.#rounds += 1;
    return 'again';
  }

  #verdict(news: News): 'verdict' {
    this.#end();
    this.#counts.verdicts.set(news, (this.#counts.verdicts.get(news) ?? 0) + 1);
    return 'verdict';
  }

  /** It has answered after all. */
  answered(): void {
    if (this.#ended) return;
    this.#end();
    this.#counts.recovered += 1;
  }

  /** Nobody waits for it any more, or it hangs now. */
  withdraw(): void {
    if (!this.#ended) this.#end();
  }

  #isDue(news: News): boolean {
    const { convicted, wasWell } = this.#options;
    if (convicted) return true;
    if (this.#rounds === 0) return false;
    const held = performance.now() - this.#since;
    const isBrief = !wasWell && news !== 'short' && news === this.#lastNews;
    if (isBrief && this.#othersWell && this.#counts.suspicious === 0)
      return held >= Math.min(this.#graceMs, SourceLimits.quickVerdict);
    return held >= (this.#othersWell ? this.#graceMs : 2 * this.#graceMs);
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#counts.held -= 1;
    if (this.#options.wasWell) this.#counts.suspicious -= 1;
  }
}
