/** The exports of a running gateway. Each has a source, a tree over that source, and access rules. */
import {
  History,
  Streams,
  type ExportState,
  type ExportStatus,
  type Metrics,
  type MountState,
  type StreamStatus,
  type WatchedSource,
} from './admin/index.ts';
import type { BlockCache } from './cache/block-cache.ts';
import type { ExportConfig } from './config/index.ts';
import { renderName, type Logger } from './log/index.ts';
import type { NfsExport } from './nfs/backend.ts';
import type { SmbExport } from './smb/server.ts';
import { placeOf, SharedSources } from './shared-sources.ts';
import type { ForgetOutcome, PartChange, Source } from './source/source.ts';
import { sourceWorkers } from './source/workers/pool.ts';
import type { KnownMounts } from './state/known-mounts.ts';
import type { WarmMetadata } from './state/warm-metadata.ts';
import type { Seed } from './state/seed.ts';
import { Identity } from './tree/identity.ts';
import { Tree } from './tree/tree.ts';
import { Trouble } from './trouble.ts';

/** A removed export is checked for running requests at this interval, and closed after the timeout at the latest; in ms. */
const retireInterval = 500;
const retireTimeout = 180_000;

interface ServedExport {
  readonly config: ExportConfig;
  readonly source: Source;
  readonly tree: Tree;
  readonly trouble: Trouble;
  readonly history: History;
  readonly streams: Streams;
  /** Ends what is told of the source's states. */
  readonly untell: () => void;
  readonly watched: WatchedSource;
}

export interface ExportSetOptions {
  /** Key of all ids and handles. */
  readonly seed: Seed;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly warm: WarmMetadata | undefined;
  readonly known: KnownMounts | undefined;
  /** Content of all exports that is kept in memory. */
  readonly blocks: BlockCache;
}

/** Mounts of one export that are told of: their number must not be somebody else's to choose. */
const mountsTold = 64;

/** The mounts below an export's path. */
const mountsOf = (source: Source, tree: Tree): MountState[] =>
  source.parts
    .filter(({ base }) => base !== '')
    .slice(0, mountsTold)
    .map(({ base, state, reason, epoch, quarantined }) => ({
      path: renderName(base),
      state,
      reason,
      epoch,
      quarantined,
      waiting: tree.waitingFor(base),
    }));

/** The view of an export that the metrics read. */
const watch = ({
  source,
  tree,
  trouble,
  history,
  streams,
}: Omit<ServedExport, 'watched' | 'config' | 'untell'>): WatchedSource => ({
  lanes: source.lanes,
  get state() {
    return source.state;
  },
  get epoch() {
    return source.epoch;
  },
  get mounts() {
    return mountsOf(source, tree);
  },
  get quarantined() {
    return source.quarantined;
  },
  get quarantine() {
    return trouble.quarantine;
  },
  get waiting() {
    return tree.waiting;
  },
  get requests() {
    return { running: tree.waiters.size, longestMs: tree.waiters.longestMs };
  },
  get streams() {
    return streams.current.length;
  },
  get outages() {
    return history.outages;
  },
  content: {
    get opens() {
      return source.content.opens;
    },
    get closes() {
      return source.content.closes;
    },
    get bytesAsked() {
      return source.content.bytesAsked;
    },
    get bytesServed() {
      return tree.contentCounts.served;
    },
  },
  cached: tree.contentCounts,
  inquiries: source.inquiries,
});

/** The state of an export for health checks. */
const stateOf = ({ config, source, tree, trouble }: ServedExport): ExportState => ({
  name: config.name,
  path: config.path,
  state: source.state,
  reason: source.reason,
  epoch: source.epoch,
  nodes: tree.size,
  mounts: mountsOf(source, tree),
  quarantine: trouble.quarantine,
  waits: trouble.waits,
});

/** The state of an export for the status page. */
const statusOf = (one: ServedExport): ExportStatus => ({
  ...stateOf(one),
  history: one.history.status,
  requests: one.tree.waiters.size,
  longestWaitSeconds: Math.round(one.tree.waiters.longestMs / 1000),
  waitingForSource: one.tree.waiting,
  lanes: Object.entries(one.source.lanes).map(([name, { limit, inFlight, hung, waiting }]) => ({
    name,
    limit,
    running: inFlight,
    hung,
    waiting,
  })),
  descriptors: one.source.descriptors,
  bytesAsked: one.source.content.bytesAsked,
  bytesServed: one.tree.contentCounts.served,
  bytesFromMemory: one.tree.contentCounts.hits,
});

/** The served exports, and removed ones that still have running requests. */
export class ExportSet {
  #served: readonly ServedExport[] = [];
  readonly #retiring = new Map<ServedExport, NodeJS.Timeout>();
  readonly #seed: Seed;
  readonly #metrics: Metrics;
  readonly #log: Logger;
  readonly #warm: WarmMetadata | undefined;
  readonly #sources: SharedSources;
  readonly #blocks: BlockCache;
  #closed = false;

  constructor({ seed, metrics, log, warm, known, blocks }: ExportSetOptions) {
    this.#seed = seed;
    this.#metrics = metrics;
    this.#log = log;
    this.#warm = warm;
    this.#sources = new SharedSources(known);
    this.#blocks = blocks;
    metrics.watchCache(blocks);
    metrics.watchWorkers(sourceWorkers);
  }

  /**
   * Applies a new list of exports. An export with the same tree settings keeps its tree and gets the new rules. A removed
   * export is closed when its last request has ended.
   */
  async change(
    configs: readonly ExportConfig[],
  ): Promise<{ added: string[]; removed: string[]; kept: string[] }> {
    const before = this.#served;
    this.#sources.plan(configs);
    const same = (config: ExportConfig) => before.find((one) => isSameTree(one.config, config));
    const after = await Promise.all(
      configs.map(async (config) => {
        const known = same(config);
        return known ? { ...known, config } : this.#open(config);
      }),
    );
    const stay = new Set(after.map(({ tree }) => tree));
    this.#served = after;
    // The sources share one thread pool: adapt each one's part to their number.
    this.#sources.share();
    for (const one of before) if (!stay.has(one.tree)) this.#retire(one);
    for (const { config, watched } of after) this.#metrics.watchSource(config.name, watched);
    if (this.#closed) await this.close();
    const old = new Set(before.map(({ tree }) => tree));
    const names = (list: readonly ServedExport[]) => list.map(({ config }) => config.name);
    return {
      added: names(after.filter(({ tree }) => !old.has(tree))),
      removed: names(before.filter(({ tree }) => !stay.has(tree))),
      kept: names(after.filter(({ tree }) => old.has(tree))),
    };
  }

  forNfs(): NfsExport[] {
    return this.#served.map(({ config: { name, nfs: rules }, tree, streams }) => ({
      name,
      tree,
      streams,
      squash: { mode: rules.squash, uid: rules.uid, gid: rules.gid },
      allows: (address: string) => rules.clients.allows(address),
      groups: rules.clients.toString().split(', '),
    }));
  }

  forSmb(): SmbExport[] {
    return this.#served.map(({ config: { name, path, smb: rules }, tree, streams }) => ({
      name,
      path,
      tree,
      streams,
      ...rules,
    }));
  }

  state(): ExportState[] {
    return this.#served.map(stateOf);
  }

  status(): ExportStatus[] {
    return this.#served.map(statusOf);
  }

  /** The current streams of all exports. */
  streams(): StreamStatus[] {
    return this.#served.flatMap(({ config, streams }) =>
      streams.current.map((stream) => stream.status(config.name)),
    );
  }

  /** Ends the cool-down of an object in quarantine, so that its next request is tried. False if there is no such object. */
  retry(exportName: string, path: string, aspect: string): boolean {
    return this.#served.some(
      ({ config, trouble }) => config.name === exportName && trouble.retry(path, aspect),
    );
  }

  /** The number of requests that were not answered at once and still run. */
  get waiting(): number {
    return this.#served.reduce((sum, { tree }) => sum + tree.waiters.size, 0);
  }

  get callsInKernel(): number {
    // Exports of the same tree share a source.
    const sources = new Set([...this.#served, ...this.#retiring.keys()].map(({ source }) => source));
    let calls = sourceWorkers.busy;
    for (const { lanes } of sources) for (const { inFlight } of Object.values(lanes)) calls += inFlight;
    return calls;
  }

  /** For shutdown: answers requests that wait for a source, so that only running ones are left. */
  stopWaiting(): void {
    for (const { tree } of [...this.#served, ...this.#retiring.keys()]) tree.stopWaiting();
  }

  /** Saves the warm metadata and closes every export. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#warm?.close();
    for (const [one, timer] of this.#retiring) {
      clearInterval(timer);
      this.#close(one);
    }
    for (const one of this.#served) this.#close(one);
  }

  #close({ source, tree, trouble, untell }: ServedExport): void {
    untell();
    trouble.close();
    tree.close();
    this.#sources.release(source);
  }

  /**
   * A mount below an export has gone for good: what lies at its place is served.
   * @param mount its path below the export; empty for what is mounted at the export's own path.
   */
  forgetMount(exportName: string, mount: string): ForgetOutcome {
    const source = this.#served.find(({ config }) => config.name === exportName)?.source;
    const outcome = source?.forgetMount(placeOf(mount)) ?? 'unknown';
    if (outcome === 'forgotten') this.#log.info({ export: exportName, mount }, 'mount forgotten');
    return outcome;
  }

  async #open(config: ExportConfig): Promise<ServedExport> {
    const log = this.#log;
    const { source, started } = this.#sources.acquire(config);
    const tree = new Tree({
      identity: new Identity(this.#seed.text, config.name, undefined, this.#seed.secret),
      source,
      times: config.times,
      failAfter: config.failAfter,
      blocks: this.#blocks,
      readAhead: config.readAhead,
    });
    const history = new History();
    const untell = tellStates(config, source, tree, history, log);
    const trouble = new Trouble(config.name, source, tree, log);
    const streams = new Streams();
    await started;
    this.#warm?.resume(config.name, tree);
    for (const { base, state, reason } of source.parts) {
      if (state === 'live') continue;
      log.warn(
        { export: config.name, path: config.path, ...mountAt(base), reason },
        'waiting for the source',
      );
    }
    const parts = { source, tree, trouble, history, streams, untell };
    return { config, ...parts, watched: watch(parts) };
  }

  /** No new requests arrive; running ones end by their deadline. */
  #retire(one: ServedExport): void {
    this.#metrics.forgetSource(one.config.name, one.watched);
    this.#warm?.forget(one.config.name, one.tree);
    const since = performance.now();
    let quiet = 0;
    const timer = setInterval(() => {
      const { metadata, data } = one.source.lanes;
      const busy = [metadata, data].some((lane) => lane.inFlight - lane.hung + lane.waiting > 0);
      quiet = busy ? 0 : quiet + 1;
      if (quiet < 2 && performance.now() - since < retireTimeout) return;
      clearInterval(timer);
      this.#retiring.delete(one);
      this.#close(one);
      this.#log.info({ export: one.config.name, path: one.config.path }, 'export closed');
    }, retireInterval).unref();
    this.#retiring.set(one, timer);
  }
}

/** Logs each change of state of a mount. The line of its return has the outage's duration and the requests that waited. */
function tellStates(
  config: ExportConfig,
  source: Source,
  tree: Tree,
  history: History,
  log: Logger,
): () => void {
  /** Since when a mount is absent, performance.now(), by its place. */
  const awaySince = new Map<string, number>();
  const tell = ({ base, state, epoch, reason }: PartChange) => {
    const mount = mountAt(base);
    history.note({ ...mount, state, reason, epoch });
    const line = { export: config.name, path: config.path, ...mount, state, epoch, reason };
    const since = awaySince.get(base);
    if (state !== 'live') {
      if (since === undefined) {
        awaySince.set(base, performance.now());
        // Reset the toll: earlier waits do not belong to this outage.
        tree.toll(base);
      }
      log.warn(line, `source is ${state}`);
      return;
    }
    awaySince.delete(base);
    const { requests, longestMs } = tree.toll(base);
    const cost = since !== undefined && {
      awaySeconds: rounded((performance.now() - since) / 1000),
      waited: requests,
      longestSeconds: rounded(longestMs / 1000),
    };
    log.info({ ...line, ...cost }, 'source is live');
  };
  // Under another name it may be served already.
  for (const part of source.parts) if (part.state === 'live') tell(part);
  return source.onState(tell);
}

const mountAt = (base: string) => (base === '' ? {} : { mount: renderName(base.slice(1)) });

/** Rounds to one decimal place. */
const rounded = (value: number) => Math.round(value * 10) / 10;

const isSameTree = (a: ExportConfig, b: ExportConfig) =>
  a.name === b.name &&
  a.path === b.path &&
  a.expectFuse === b.expectFuse &&
  a.times === b.times &&
  a.failAfter === b.failAfter &&
  a.readDeadline === b.readDeadline &&
  a.verdict === b.verdict &&
  a.idleClose === b.idleClose &&
  a.readAhead?.max === b.readAhead?.max &&
  a.readAhead?.start === b.readAhead?.start;
