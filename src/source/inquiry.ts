/**
 * Decides whether an error or a short answer ("news") is really the object's. A daemon that is shutting down returns errors
 * and short answers for healthy files. An inquiry holds the news of one object and asks for retries until an answer comes, or
 * until the source has proved healthy after the news and the object has repeated it: then the news is the verdict. If the
 * source goes away meanwhile, it was an outage, and the inquiry throws `down`.
 *
 * How long the news is held depends on its kind. A daemon that shuts down can answer lookups and cached content for two
 * seconds and more while everything else fails:
 * - Short answers rarely have another cause. They are held for the whole grace time.
 * - An error that is repeated from a fresh descriptor while another object answers is a dead link. A scan meets many of them,
 *   so it is accepted soon, unless another call indicates that the daemon is shutting down, or the object is a stream
 *   that has answered a moment ago: then it is held for the grace time.
 * - An error while no other object answers, or none can be asked, is held for twice the grace time.
 * - If the object already has a verdict, it is enough that the source is there.
 */
import type { TreeErrorCode } from './errors.ts';
import { SourceLimits } from './limits.ts';
import { pause } from './pause.ts';
import type { Opinion } from './opinions.ts';

export interface InquiryOptions {
  /** Whether another part of the same object already has a verdict. */
  readonly convicted: boolean;
  /** Whether the object is read as a stream, and has answered within twice the grace time: a dead link has not. */
  readonly wasWell: boolean;
  /** Resolves if the source is live, unchanged, and has answered since this call; throws `down` otherwise. */
  readonly confirm: () => Promise<void>;
  readonly opinion: () => Promise<Opinion>;
  /** Called once, when the daemon may be shutting down. */
  readonly onSuspicion: () => void;
}

/** Counts held calls and how they ended, for the metrics. */
export class InquiryCounts {
  /** Calls that are held now. */
  held = 0;
  heldTotal = 0;
  /** Ended by an answer. */
  recovered = 0;
  /** Ended by an outage. */
  outages = 0;
  readonly verdicts = new Map<News, number>();
}

/** An error code, or `short`: fewer bytes, entries or a smaller size than expected. */
export type News = TreeErrorCode | 'short';

/** Signs that the daemon may be shutting down. While there are any, no error is accepted early. */
export class Suspicion {
  /** Held calls that indicate it. */
  calls = 0;
  #until = 0;

  /** A call that is not held has returned fewer bytes than the file has. That counts for `ms`. */
  cameShort(ms: number): void {
    this.#until = performance.now() + ms;
  }

  get isRecent(): boolean {
    return performance.now() < this.#until;
  }
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
  /** Whether another object answered after `#lastNews`. */
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
   * The object has returned this news (again). Resolves after a pause with `again` if it is to be retried; with `verdict` if
   * the news is accepted. Throws `down` if the source has gone away.
   * @param tookMs how long the call took. A very slow failure is not retried, as that would take as long again.
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
    // Ask after the news has come: an earlier opinion would not show that the source is still well.
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

  /** Whether other objects did not answer either: then the source is in trouble. */
  get sawUnwell(): boolean {
    return this.#sawUnwell;
  }

  #verdict(news: News): 'verdict' {
    this.#end();
    this.#counts.verdicts.set(news, (this.#counts.verdicts.get(news) ?? 0) + 1);
    return 'verdict';
  }

  /** The object has answered after all. */
  answered(): void {
    if (this.#ended) return;
    this.#end();
    this.#counts.recovered += 1;
  }

  /** Ends the inquiry without a result: the caller has given up, or the call hangs now. */
  withdraw(): void {
    if (!this.#ended) this.#end();
  }

  #isDue(news: News, isWell: boolean): boolean {
    if (this.#rounds === 0) return false;
    const held = performance.now() - this.#since;
    const isRepeated = news !== 'short' && news === this.#lastNews && isWell && this.#wasWell;
    const others = this.#suspicion.calls - (this.#isSuspicious ? 1 : 0);
    const mayBeSoon = others === 0 && !this.#suspicion.isRecent && !this.#options.wasWell;
    if (isRepeated && mayBeSoon) return held >= Math.min(this.#graceMs, SourceLimits.quickVerdict);
    return held >= (isWell ? this.#graceMs : 2 * this.#graceMs);
  }

  /** Counts this call as suspicious until the inquiry ends. */
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
