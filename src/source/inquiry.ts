/**
 * Bad news is believed only from a source that is still well afterwards. An inquiry holds the bad news of one object: it
 * says "ask again" until either an answer comes, or the source has shown itself well after the news and the object has
 * repeated it: then that is the verdict. When the source goes meanwhile it was an outage, and the inquiry throws `down`.
 *
 * How long it takes depends on the news. A daemon that leaves can go on to answer names, and content that it has at hand, for
 * two seconds and more, while all else fails:
 * - Too few bytes are what such a daemon gives, and next to nobody else. They are held for the whole grace time.
 * - An error, given again from a fresh descriptor while another object is well, is a dead link; a scan meets many. It is
 *   believed soon, unless anything else is being held at that moment that speaks for a source that leaves.
 * - An error while nobody else is well, or nobody else can be asked, is held for twice the grace time.
 * - Of an object that was convicted before, it is only made sure that the source is there.
 */
import type { TreeErrorCode } from './errors.ts';
import { SourceLimits } from './limits.ts';
import { pause } from './pause.ts';
import type { Opinion } from './opinions.ts';

export interface InquiryOptions {
  /** Whether another piece of the same object has had its verdict. */
  readonly convicted: boolean;
  /** Resolves when the source is there, is the one of `epoch`, and has answered since this call; throws `down` otherwise. */
  readonly confirm: () => Promise<void>;
  readonly opinion: () => Promise<Opinion>;
  /** Called once, when the news may be those of a source that leaves. */
  readonly onSuspicion: () => void;
}

/** What happened to bad news, for the metrics. */
export class InquiryCounts {
  /** Calls that are held for a verdict now. */
  held = 0;
  heldTotal = 0;
  /** Ended by an answer. */
  recovered = 0;
  /** Ended by an outage. */
  outages = 0;
  readonly verdicts = new Map<News, number>();
}

/** `short`: fewer bytes than there must be. */
export type News = TreeErrorCode | 'short';

/** Calls to one source whose news may be those of a source that leaves: while there are any, nothing of it is believed soon. */
export class Suspicion {
  calls = 0;
}

export class Inquiry {
  readonly #options: InquiryOptions;
  readonly #counts: InquiryCounts;
  readonly #suspicion: Suspicion;
  readonly #graceMs: number;
  readonly #since = performance.now();
  #rounds = 0;
  #isSuspicious = false;
  #sawUnwell = false;
  #lastNews = '';
  /** Whether another object was well after that. */
  #wasWell = false;
  #ended = false;

  constructor(options: InquiryOptions, counts: InquiryCounts, suspicion: Suspicion, graceMs: number) {
    this.#options = options;
    this.#counts = counts;
    this.#suspicion = suspicion;
    this.#graceMs = graceMs;
    counts.held += 1;
    counts.heldTotal += 1;
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
    if (this.#options.convicted) return this.#verdict(news);
    // Asked after the news: only then does it tell whether the source is well.
    const opinion = await this.#options.opinion();
    if (opinion === 'unwell') this.#sawUnwell = true;
    if (news === 'short' || opinion !== 'well') this.#suspect();
    const isWell = opinion === 'well';
    if (isWell && news !== 'short' && tookMs >= SourceLimits.slowFailure) return this.#verdict(news);
    if (this.#isDue(news, isWell)) return this.#verdict(news);
    this.#lastNews = news;
    this.#wasWell = isWell;
    const { pauses } = SourceLimits;
    await pause(pauses[Math.min(this.#rounds, pauses.length - 1)]!);
    this.#rounds += 1;
    return 'again';
  }

  /** Whether others that were asked were not well: then it is the source that is in trouble. */
  get sawUnwell(): boolean {
    return this.#sawUnwell;
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

  #isDue(news: News, isWell: boolean): boolean {
    if (this.#rounds === 0) return false;
    const held = performance.now() - this.#since;
    const isRepeated = news !== 'short' && news === this.#lastNews && isWell && this.#wasWell;
    const others = this.#suspicion.calls - (this.#isSuspicious ? 1 : 0);
    if (isRepeated && others === 0) return held >= Math.min(this.#graceMs, SourceLimits.quickVerdict);
    return held >= (isWell ? this.#graceMs : 2 * this.#graceMs);
  }

  /** From the first suspicious news on, to the end. */
  #suspect(): void {
    if (this.#isSuspicious) return;
    this.#isSuspicious = true;
    this.#suspicion.calls += 1;
    this.#options.onSuspicion();
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#counts.held -= 1;
    if (this.#isSuspicious) this.#suspicion.calls -= 1;
  }
}
