/** Reports which paths of an export do not answer and which clients wait for them: to the log, metrics and status page. */
import { LRUCache } from 'lru-cache';
import type { TroubleEntry, WaitEntry } from './admin/index.ts';
import { renderName, type Logger } from './log/index.ts';
import { caseKey } from './source/quarantine.ts';
import type { Source } from './source/source.ts';
import type { Wait } from './tree/waiters.ts';
import type { Tree } from './tree/tree.ts';

/** The greatest number of entries shown of each kind, and the wait in ms from which a request is shown. */
const most = 20;
const notable = 2_000;
/** Failed paths for which the waiting clients are remembered. */
const remembered = 1_000;

const seconds = (ms: number) => Math.round(ms / 1000);
const waitOf = (wait: Wait | undefined) => ({ requests: wait?.requests ?? 0, clients: wait?.clients ?? [] });

type TroubledSource = Pick<Source, 'onTrouble' | 'onState' | 'quarantined' | 'quarantine' | 'retry'>;

export class Trouble {
  readonly #source: TroubledSource;
  readonly #tree: Pick<Tree, 'waiters'>;
  /** Clients that waited for a quarantined path when it last failed, by case key. */
  readonly #waited = new LRUCache<string, readonly string[]>({ max: remembered });
  readonly #unsubscribe: readonly (() => void)[];

  constructor(exportName: string, source: TroubledSource, tree: Pick<Tree, 'waiters'>, log: Logger) {
    this.#source = source;
    this.#tree = tree;
    const unsubscribe = source.onTrouble(({ path, aspect, code, released, strikes, coolDown }) => {
      const line = { export: exportName, path: renderName(path), aspect, strikes };
      const key = caseKey(aspect, path);
      if (released) {
        this.#waited.delete(key);
        log.info(line, 'answers again: out of quarantine');
        return;
      }
      const { requests, clients } = waitOf(tree.waiters.for(path));
      this.#waited.set(key, clients);
      log.warn(
        { ...line, waiting: requests, clients, coolDownSeconds: coolDown / 1000 },
        code === 'timeout' ? 'missed its deadline: in quarantine' : 'its error was confirmed: in quarantine',
      );
    });
    this.#unsubscribe = [unsubscribe, source.onState(() => this.#forget())];
  }

  /** The source may live on under another name. */
  close(): void {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
  }

  /** Paths in quarantine, the latest first. */
  get quarantine(): TroubleEntry[] {
    return this.#source.quarantine(most).map((one) => ({
      path: renderName(one.path),
      aspect: one.aspect,
      strikes: one.strikes,
      retrySeconds: seconds(one.retryIn),
      clients: this.#waited.get(caseKey(one.aspect, one.path)) ?? [],
    }));
  }

  /** Ends an object's cool-down, so that its next request is tried. False if it is not there. @param path as displayed. */
  retry(path: string, aspect: string): boolean {
    const found = this.#source
      .quarantine(most)
      .filter((one) => one.aspect === aspect && renderName(one.path) === path);
    return found.some((one) => this.#source.retry(one.aspect, one.path));
  }

  /** Paths that requests wait for, the longest wait first. */
  get waits(): WaitEntry[] {
    return this.#tree.waiters.longest(notable, most).map((wait) => ({
      path: renderName(wait.path),
      seconds: seconds(wait.ms),
      ...waitOf(wait),
    }));
  }

  /** A new mount starts with an empty quarantine, without an event for each released path. */
  #forget(): void {
    if (this.#source.quarantined === 0) this.#waited.clear();
  }
}
