/**
 * All metrics. No other module imports prom-client.
 *
 * A request costs a few additions in its meter; prom-client's tables are filled only when the metrics are requested. Labels must
 * be bounded in number: clients are never labels, and paths only for the objects that went into quarantine last.
 */
import { collectDefaultMetrics, Gauge, Registry, type Metric } from 'prom-client';
import type { MountState, SourceState, TroubleEntry } from './state.ts';

export type Protocol = 'nfs' | 'mount' | 'portmap' | 'smb';

/** Upper bounds of the latency buckets, in seconds: from a cached answer to a hung source. */
export const latencyBounds: readonly number[] = [
  0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5,
  10, 30, 60,
];

/** Counts the requests of one operation of one protocol. Get it once with Metrics.request and keep it. */
export class RequestMeter {
  readonly protocol: Protocol;
  readonly operation: string;
  ok = 0;
  failed = 0;
  bytesIn = 0;
  bytesOut = 0;
  seconds = 0;
  /** Requests per bucket: above the previous bound, up to the bound with the same index. The last has no bound. */
  readonly buckets = new Float64Array(latencyBounds.length + 1);

  constructor(protocol: Protocol, operation: string) {
    this.protocol = protocol;
    this.operation = operation;
  }

  /** Counts an answered request: its duration, its payload bytes in each direction, and whether it succeeded. */
  observe(seconds: number, bytesIn: number, bytesOut: number, ok: boolean): void {
    if (ok) this.ok += 1;
    else this.failed += 1;
    this.bytesIn += bytesIn;
    this.bytesOut += bytesOut;
    this.seconds += seconds;
    let bucket = 0;
    while (bucket < latencyBounds.length && seconds > latencyBounds[bucket]!) bucket += 1;
    this.buckets[bucket]! += 1;
  }
}

/** The connections of one protocol. */
export class ConnectionMeter {
  open = 0;
  total = 0;
  /** Connections that were closed at once: from an address that no export allows, or above a limit. */
  refused = 0;

  opened(): void {
    this.open += 1;
    this.total += 1;
  }

  closed(): void {
    this.open -= 1;
  }
}

const sourceStates: readonly SourceState[] = ['live', 'down', 'stuck'];

export interface LaneUse {
  /** Calls that may run at once. */
  readonly limit: number;
  readonly inFlight: number;
  /** Calls in flight whose callers already got a timeout. */
  readonly hung: number;
  readonly waiting: number;
}

/** SMB objects that exist now. */
export interface SmbCounts {
  readonly sessions: number;
  readonly opens: number;
  readonly leases: number;
}

/** The state of a source, read when the metrics are requested. */
export interface WatchedSource {
  readonly state: SourceState;
  readonly epoch: number;
  /** Mounts below its path, a limited number. */
  readonly mounts: readonly MountState[];
  readonly lanes: Readonly<Record<string, LaneUse>>;
  /** Number of objects in quarantine. */
  readonly quarantined: number;
  /** The latest objects in quarantine, a limited number. */
  readonly quarantine: readonly TroubleEntry[];
  /** Requests that wait for an absent source. */
  readonly waiting: number;
  /** Requests that could not be answered at once: how many run, and how long the oldest has run. */
  readonly requests: { readonly running: number; readonly longestMs: number };
  readonly streams: number;
  readonly outages: number;
  /** Descriptors, bytes requested from the source, and bytes sent to clients. */
  readonly content: {
    readonly opens: number;
    readonly closes: number;
    readonly bytesAsked: number;
    readonly bytesServed: number;
  };
  /** Bytes: see CacheCounts. */
  readonly cached: { readonly hits: number; readonly joined: number; readonly ahead: number };
  /** Calls with an error or short answer, which are held until it is confirmed, turns out to be an outage, or an answer comes. */
  readonly inquiries: {
    readonly held: number;
    readonly heldTotal: number;
    readonly recovered: number;
    readonly outages: number;
    /** Confirmed errors, by error code. */
    readonly verdicts: ReadonlyMap<string, number>;
  };
}

/** The content cache of all exports: see BlockCache. */
export interface WatchedCache {
  readonly bytes: number;
  readonly limit: number;
  readonly evictions: number;
  readonly unreadBytes: number;
}

/** The worker threads of all sources: see WorkerPool. */
export interface WatchedWorkers {
  readonly busy: number;
  readonly aside: number;
}

interface Sample {
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
  readonly metricName?: string;
}

/** A metric whose samples are computed on request, from numbers kept elsewhere. */
class Computed {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly aggregator = 'sum';
  readonly #samples: () => Sample[];

  constructor(name: string, type: Computed['type'], help: string, samples: () => Sample[]) {
    this.name = name;
    this.type = type;
    this.help = help;
    this.#samples = samples;
  }

  get() {
    const { name, help, type, aggregator } = this;
    return Promise.resolve({ name, help, type, aggregator, values: this.#samples() });
  }
}

export class Metrics {
  readonly #registry = new Registry();
  /** Metrics with paths, which not all clients may see. */
  readonly #detailed = new Registry();
  readonly #requests = new Map<string, RequestMeter>();
  readonly #connections = new Map<Protocol, ConnectionMeter>();
  readonly #sources = new Map<string, WatchedSource>();
  readonly #rendering = new Map<Registry, Promise<string>>();
  readonly #authFailures = new Map<string, number>();
  #smb: () => SmbCounts = () => ({ sessions: 0, opens: 0, leases: 0 });
  /** NFS calls answered with NFS3ERR_JUKEBOX. */
  jukebox = 0;

  /** @param process whether to add the process's metrics: memory, CPU, descriptors, event-loop delay, garbage collection. */
  constructor({ process = true }: { readonly process?: boolean } = {}) {
    if (process) collectDefaultMetrics({ register: this.#registry });
    this.#addRequests();
    this.#addConnections();
    this.#addProtocols();
    this.#addSources();
  }

  /** The meter of one operation, such as `nfs` and `READ`. The same arguments give the same meter. */
  request(protocol: Protocol, operation: string): RequestMeter {
    const key = `${protocol} ${operation}`;
    let meter = this.#requests.get(key);
    if (!meter) {
      meter = new RequestMeter(protocol, operation);
      this.#requests.set(key, meter);
    }
    return meter;
  }

  /** All request meters. */
  requests(): Iterable<RequestMeter> {
    return this.#requests.values();
  }

  connections(protocol: Protocol): ConnectionMeter {
    let meter = this.#connections.get(protocol);
    if (!meter) {
      meter = new ConnectionMeter();
      this.#connections.set(protocol, meter);
    }
    return meter;
  }

  /** Adds the source of an export to the metrics. */
  watchSource(exportName: string, source: WatchedSource): void {
    this.#sources.set(exportName, source);
  }

  /** Removes a source from the metrics, unless another source has taken its export's name since. */
  forgetSource(exportName: string, source: WatchedSource): void {
    if (this.#sources.get(exportName) === source) this.#sources.delete(exportName);
  }

  /** Adds the content cache to the metrics. */
  watchCache(cache: WatchedCache): void {
    const add = (name: string, type: Computed['type'], help: string, value: () => number): void =>
      this.#add(`holdfast_cache_${name}`, type, help, () => [{ labels: {}, value: value() }]);
    add('bytes', 'gauge', 'Memory of the content cache now.', () => cache.bytes);
    add('limit_bytes', 'gauge', 'Memory limit of the content cache.', () => cache.limit);
    add('evictions_total', 'counter', 'Blocks evicted from the content cache.', () => cache.evictions);
    add(
      'unread_bytes_total',
      'counter',
      'Bytes that were read ahead and evicted before a client read them.',
      () => cache.unreadBytes,
    );
  }

  /** Adds the worker threads to the metrics. */
  watchWorkers(workers: WatchedWorkers): void {
    const add = (name: string, help: string, value: () => number): void =>
      this.#add(`holdfast_workers_${name}`, 'gauge', help, () => [{ labels: {}, value: value() }]);
    add('busy', 'Worker threads that look up or list now, including hung ones.', () => workers.busy);
    add('hung', 'Worker threads whose call hangs; other threads do their work.', () => workers.aside);
  }

  /** Counts a refusal: of a logon, a share, an address or a token. */
  authFailure(protocol: 'nfs' | 'smb' | 'admin'): void {
    this.#authFailures.set(protocol, (this.#authFailures.get(protocol) ?? 0) + 1);
  }

  /** Adds the SMB counts; `counts` is called when the metrics are requested. */
  watchSmb(counts: () => SmbCounts): void {
    this.#smb = counts;
  }

  /** Adds constant facts, such as the version, as labels of a gauge with value 1. */
  addInfo(labels: Readonly<Record<string, string>>): void {
    const registers = [this.#registry];
    const info = {
      name: 'holdfast_info',
      help: 'Version and other facts about this process, as labels.',
      labelNames: Object.keys(labels),
      registers,
    };
    new Gauge(info).set(labels, 1);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /**
   * The metrics in the text format of Prometheus. Parallel requests share one rendering.
   * @param details whether to include the metrics with paths.
   */
  async text(details = true): Promise<string> {
    const everybodys = await this.#render(this.#registry);
    return details ? `${everybodys}${await this.#render(this.#detailed)}` : everybodys;
  }

  #render(registry: Registry): Promise<string> {
    let text = this.#rendering.get(registry);
    if (!text) {
      text = registry.metrics().finally(() => this.#rendering.delete(registry));
      this.#rendering.set(registry, text);
    }
    return text;
  }

  #add(
    name: string,
    type: Computed['type'],
    help: string,
    samples: () => Sample[],
    registry = this.#registry,
  ): void {
    // The registry uses only `name` and `get` of a metric, but its type requires one of prom-client's four classes.
    registry.registerMetric(new Computed(name, type, help, samples) as unknown as Metric);
  }

  #addRequests(): void {
    const ofEach = (samples: (meter: RequestMeter, labels: Record<string, string>) => Sample[]) => () =>
      [...this.#requests.values()].flatMap((meter) => {
        const { protocol, operation } = meter;
        return samples(meter, { protocol, operation });
      });
    this.#add(
      'holdfast_requests_total',
      'counter',
      'Requests answered, by protocol, operation and status class.',
      ofEach(({ ok, failed }, labels) => [
        { labels: { ...labels, status: 'ok' }, value: ok },
        { labels: { ...labels, status: 'error' }, value: failed },
      ]),
    );
    this.#add(
      'holdfast_request_duration_seconds',
      'histogram',
      'Time from the whole request to its answer.',
      ofEach((meter, labels) => histogramSamples(meter, labels)),
    );
    this.#add(
      'holdfast_bytes_total',
      'counter',
      'Payload of requests (in) and answers (out).',
      ofEach(({ bytesIn, bytesOut }, labels) => [
        { labels: { ...labels, direction: 'in' }, value: bytesIn },
        { labels: { ...labels, direction: 'out' }, value: bytesOut },
      ]),
    );
  }

  #addConnections(): void {
    const ofEach = (value: (meter: ConnectionMeter) => number) => () =>
      [...this.#connections].map(([protocol, meter]) => ({ labels: { protocol }, value: value(meter) }));
    this.#add(
      'holdfast_connections',
      'gauge',
      'Open connections.',
      ofEach(({ open }) => open),
    );
    this.#add(
      'holdfast_connections_total',
      'counter',
      'Accepted connections.',
      ofEach(({ total }) => total),
    );
    this.#add(
      'holdfast_connections_refused_total',
      'counter',
      'Connections closed by the gateway: from an address that no export allows, or above a limit on connections.',
      ofEach(({ refused }) => refused),
    );
  }

  #addProtocols(): void {
    this.#add(
      'holdfast_auth_failures_total',
      'counter',
      'Refusals of a logon, a share, an address or a token, by protocol.',
      () =>
        (['nfs', 'smb', 'admin'] as const).map((protocol) => ({
          labels: { protocol },
          value: this.#authFailures.get(protocol) ?? 0,
        })),
    );
    this.#add(
      'holdfast_nfs_jukebox_total',
      'counter',
      'NFS calls answered with JUKEBOX (try again later).',
      () => [{ labels: {}, value: this.jukebox }],
    );
    const ofSmb = (name: keyof SmbCounts, help: string) =>
      this.#add(`holdfast_smb_${name}`, 'gauge', help, () => [{ labels: {}, value: this.#smb()[name] }]);
    ofSmb('sessions', 'SMB sessions.');
    ofSmb('opens', 'Files and folders open by SMB, including durable opens.');
    ofSmb('leases', 'Leases of SMB clients.');
  }

  #addSources(): void {
    const ofEach = (samples: (source: WatchedSource, name: string) => Sample[]) => () =>
      [...this.#sources].flatMap(([name, source]) => samples(source, name));
    this.#add(
      'holdfast_source_state',
      'gauge',
      'State of the source of an export: 1 for the current state, 0 for the others.',
      ofEach(({ state }, name) =>
        sourceStates.map((one) => ({ labels: { export: name, state: one }, value: one === state ? 1 : 0 })),
      ),
    );
    this.#add(
      'holdfast_source_epoch',
      'gauge',
      'Number of mounts of the source of an export that were seen.',
      ofEach(({ epoch }, name) => [{ labels: { export: name }, value: epoch }]),
    );
    this.#add(
      'holdfast_source_quarantined',
      'gauge',
      'Objects of an export in quarantine: they failed or missed their deadline, and are not asked for a while.',
      ofEach(({ quarantined }, name) => [{ labels: { export: name }, value: quarantined }]),
    );
    this.#add(
      'holdfast_source_quarantine_clients',
      'gauge',
      'Clients that waited for an object in quarantine, for the 20 latest objects of each export.',
      ofEach(({ quarantine }, name) =>
        quarantine.map(({ path, aspect, clients }) => ({
          labels: { export: name, path, aspect },
          value: clients.length,
        })),
      ),
      this.#detailed,
    );
    this.#add(
      'holdfast_source_waiting',
      'gauge',
      'Requests that wait for the absent source of an export.',
      ofEach(({ waiting }, name) => [{ labels: { export: name }, value: waiting }]),
    );
    this.#add(
      'holdfast_requests_waiting',
      'gauge',
      'Requests that could not be answered at once and are not answered yet.',
      ofEach(({ requests }, name) => [{ labels: { export: name }, value: requests.running }]),
    );
    this.#add(
      'holdfast_longest_wait_seconds',
      'gauge',
      'How long the oldest request that is not answered yet has run, in seconds; 0 if there is none.',
      ofEach(({ requests }, name) => [{ labels: { export: name }, value: requests.longestMs / 1000 }]),
    );
    this.#add(
      'holdfast_streams',
      'gauge',
      'Files that clients read now; a file counts once for each client.',
      ofEach(({ streams }, name) => [{ labels: { export: name }, value: streams }]),
    );
    this.#add(
      'holdfast_source_outages_total',
      'counter',
      'Number of times that the source of an export went away.',
      ofEach(({ outages }, name) => [{ labels: { export: name }, value: outages }]),
    );
    this.#addMounts(ofEach);
    this.#addContent(ofEach);
    const ofEachLane = (value: (lane: LaneUse) => number) =>
      ofEach(({ lanes }, name) =>
        Object.entries(lanes).map(([lane, use]) => ({ labels: { export: name, lane }, value: value(use) })),
      );
    this.#add(
      'holdfast_lane_in_flight',
      'gauge',
      'Running calls to the source, by lane.',
      ofEachLane(({ inFlight }) => inFlight),
    );
    this.#add(
      'holdfast_lane_hung',
      'gauge',
      'Running calls to the source that have missed their deadline, by lane.',
      ofEachLane(({ hung }) => hung),
    );
    this.#add(
      'holdfast_lane_waiting',
      'gauge',
      'Calls to the source that wait for a place, by lane.',
      ofEachLane(({ waiting }) => waiting),
    );
    this.#add(
      'holdfast_lane_limit',
      'gauge',
      'Maximum of parallel calls to the source, by lane.',
      ofEachLane(({ limit }) => limit),
    );
  }
  /** Their number is limited. But their paths are shown only to clients that may see names. */
  #addMounts(ofEach: OfEach): void {
    this.#add(
      'holdfast_source_mounts',
      'gauge',
      'Mounts below the path of an export, by state.',
      ofEach(({ mounts }, name) =>
        sourceStates.map((state) => ({
          labels: { export: name, state },
          value: mounts.filter((one) => one.state === state).length,
        })),
      ),
    );
    const add = (name: string, help: string, value: (mount: MountState) => number): void =>
      this.#add(
        `holdfast_mount_${name}`,
        'gauge',
        help,
        ofEach(({ mounts }, exportName) =>
          mounts.map((mount) => ({
            labels: { export: exportName, mount: mount.path },
            value: value(mount),
          })),
        ),
        this.#detailed,
      );
    add('live', 'Whether a mount below an export is present and answers.', ({ state }) =>
      state === 'live' ? 1 : 0,
    );
    add('epoch', 'How often a mount below an export was mounted.', ({ epoch }) => epoch);
    add('quarantined', 'Objects of a mount in quarantine.', ({ quarantined }) => quarantined);
    add('waiting', 'Requests that wait for an absent mount.', ({ waiting }) => waiting);
  }

  #addContent(ofEach: OfEach): void {
    const add = (
      name: string,
      type: Computed['type'],
      help: string,
      value: (source: WatchedSource) => number,
    ): void =>
      this.#add(
        `holdfast_source_${name}`,
        type,
        help,
        ofEach((source, exportName) => [{ labels: { export: exportName }, value: value(source) }]),
      );
    add('opens_total', 'counter', 'Files opened at the source.', ({ content }) => content.opens);
    add('closes_total', 'counter', 'Files closed at the source.', ({ content }) => content.closes);
    add(
      'descriptors',
      'gauge',
      'Files open at the source now.',
      ({ content }) => content.opens - content.closes,
    );
    add(
      'bytes_asked_total',
      'counter',
      'Bytes of files requested from the source.',
      ({ content }) => content.bytesAsked,
    );
    add(
      'bytes_served_total',
      'counter',
      'Bytes of files sent to clients.',
      ({ content }) => content.bytesServed,
    );
    add(
      'bytes_from_memory_total',
      'counter',
      'Part of the bytes sent to clients that was in memory.',
      ({ cached }) => cached.hits,
    );
    add(
      'bytes_joined_total',
      'counter',
      'Part of the bytes sent to clients for which a read was already running.',
      ({ cached }) => cached.joined,
    );
    add(
      'bytes_ahead_total',
      'counter',
      'Bytes requested from the source ahead of readers.',
      ({ cached }) => cached.ahead,
    );
    add(
      'held_for_verdict',
      'gauge',
      'Calls whose error or short answer is held until it is confirmed.',
      ({ inquiries }) => inquiries.held,
    );
    add(
      'held_for_verdict_total',
      'counter',
      'Calls whose error or short answer was held.',
      ({ inquiries }) => inquiries.heldTotal,
    );
    this.#add(
      'holdfast_source_verdicts_total',
      'counter',
      'Held calls by how they ended: with an answer, as an outage, or with an error.',
      ofEach(({ inquiries: { recovered, outages, verdicts } }, name) =>
        [['answer', recovered] as const, ['outage', outages] as const, ...verdicts].map(([kind, value]) => ({
          labels: { export: name, kind },
          value,
        })),
      ),
    );
  }
}

type OfEach = (samples: (source: WatchedSource, name: string) => Sample[]) => () => Sample[];

function histogramSamples(meter: RequestMeter, labels: Record<string, string>): Sample[] {
  const name = 'holdfast_request_duration_seconds';
  let count = 0;
  const samples: Sample[] = [...meter.buckets].map((inBucket, index) => {
    count += inBucket;
    const le = latencyBounds[index] ?? '+Inf';
    return { labels: { ...labels, le }, value: count, metricName: `${name}_bucket` };
  });
  samples.push({ labels, value: meter.seconds, metricName: `${name}_sum` });
  samples.push({ labels, value: count, metricName: `${name}_count` });
  return samples;
}
