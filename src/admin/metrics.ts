/**
 * Everything that is counted, and the only place that knows prom-client.
 *
 * A request costs a few additions to numbers of its own meter; prom-client's tables are filled when somebody asks.
 * No client is ever a label, and no path but those of the few objects that went into quarantine last: their number is not
 * bounded.
 */
import { collectDefaultMetrics, Gauge, Registry, type Metric } from 'prom-client';
import type { MountState, SourceState, TroubleEntry } from './state.ts';

export type Protocol = 'nfs' | 'mount' | 'portmap' | 'smb';

/** Upper bounds of the latency buckets, in seconds: from an answer out of a cache to a source that hangs. */
export const latencyBounds: readonly number[] = [
  0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5,
  10, 30, 60,
];

/** What one operation of one protocol has done. Get it once, and keep it. */
export class RequestMeter {
  readonly protocol: Protocol;
  readonly operation: string;
  ok = 0;
  failed = 0;
  bytesIn = 0;
  bytesOut = 0;
  seconds = 0;
  /** Requests that took at most the bound with the same index, and not the one before it; the last: longer than all. */
  readonly buckets = new Float64Array(latencyBounds.length + 1);

  constructor(protocol: Protocol, operation: string) {
    this.protocol = protocol;
    this.operation = operation;
  }

  /** One request that was answered: how long it took, its payload either way, and whether the answer was success. */
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
  /** Ended by the server: a malformed message, a client that is not allowed, a bound that was reached. */
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
  /** Of those, the ones whose callers were already told of the timeout. */
  readonly hung: number;
  readonly waiting: number;
}

/** What is open by SMB now. */
export interface SmbCounts {
  readonly sessions: number;
  readonly opens: number;
  readonly leases: number;
}

/** What is looked at when somebody asks for the metrics. */
export interface WatchedSource {
  readonly state: SourceState;
  readonly epoch: number;
  /** Those below its path, a bounded number. */
  readonly mounts: readonly MountState[];
  readonly lanes: Readonly<Record<string, LaneUse>>;
  /** Objects that missed their deadline and are left alone for a while. */
  readonly quarantined: number;
  /** The latest of them, a bounded number. */
  readonly quarantine: readonly TroubleEntry[];
  /** Requests that wait for a source that is away. */
  readonly waiting: number;
  /** Requests that were not answered at once, and how long the oldest has been worked on. */
  readonly requests: { readonly running: number; readonly longestMs: number };
  readonly streams: number;
  readonly outages: number;
  /** Descriptors, and bytes asked of the source and handed to clients. */
  readonly content: {
    readonly opens: number;
    readonly closes: number;
    readonly bytesAsked: number;
    readonly bytesServed: number;
  };
  /** Of the bytes handed to clients: from memory at once, and by a read that was under way; and bytes asked for ahead of readers. */
  readonly cached: { readonly hits: number; readonly joined: number; readonly ahead: number };
  /** Bad news of the source: held back until it was confirmed, turned out to be an outage, or was followed by an answer. */
  readonly inquiries: {
    readonly held: number;
    readonly heldTotal: number;
    readonly recovered: number;
    readonly outages: number;
    /** Confirmed, by kind of error. */
    readonly verdicts: ReadonlyMap<string, number>;
  };
}

/** What keeps content in memory, for all exports. */
export interface WatchedCache {
  readonly bytes: number;
  readonly limit: number;
  readonly evictions: number;
  readonly unreadBytes: number;
}

interface Sample {
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
  readonly metricName?: string;
}

/** A metric whose samples are made when they are asked for, from numbers kept elsewhere. */
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
  /** Of what not everybody is shown. */
  readonly #detailed = new Registry();
  readonly #requests = new Map<string, RequestMeter>();
  readonly #connections = new Map<Protocol, ConnectionMeter>();
  readonly #sources = new Map<string, WatchedSource>();
  readonly #rendering = new Map<Registry, Promise<string>>();
  readonly #authFailures = new Map<string, number>();
  #smb: () => SmbCounts = () => ({ sessions: 0, opens: 0, leases: 0 });
  /** NFS calls that were told to come again. */
  jukebox = 0;

  /** @param process also the metrics of the process: memory, CPU, descriptors, event-loop delay, garbage collection. */
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

  /** Every meter there is. */
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

  /** Reports on the source of an export from now on. */
  watchSource(exportName: string, source: WatchedSource): void {
    this.#sources.set(exportName, source);
  }

  /** The export is gone, unless another source has taken its name since. */
  forgetSource(exportName: string, source: WatchedSource): void {
    if (this.#sources.get(exportName) === source) this.#sources.delete(exportName);
  }

  /** Reports on the cache of content. */
  watchCache(cache: WatchedCache): void {
    const add = (name: string, type: Computed['type'], help: string, value: () => number): void =>
      this.#add(`holdfast_cache_${name}`, type, help, () => [{ labels: {}, value: value() }]);
    add('bytes', 'gauge', 'Memory that content takes now.', () => cache.bytes);
    add('limit_bytes', 'gauge', 'Memory that content may take.', () => cache.limit);
    add('evictions_total', 'counter', 'Blocks that went to make room.', () => cache.evictions);
    add(
      'unread_bytes_total',
      'counter',
      'Bytes that were read ahead and went before a client asked for them.',
      () => cache.unreadBytes,
    );
  }

  /** Somebody was refused: a logon, a share, an address, a token. */
  authFailure(protocol: 'nfs' | 'smb' | 'admin'): void {
    this.#authFailures.set(protocol, (this.#authFailures.get(protocol) ?? 0) + 1);
  }

  /** What is open by SMB, asked when somebody asks for the metrics. */
  watchSmb(counts: () => SmbCounts): void {
    this.#smb = counts;
  }

  /** A fact that does not change, such as the version, as labels of a gauge that is 1. */
  addInfo(labels: Readonly<Record<string, string>>): void {
    const registers = [this.#registry];
    const info = {
      name: 'holdfast_info',
      help: 'What is running.',
      labelNames: Object.keys(labels),
      registers,
    };
    new Gauge(info).set(labels, 1);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /**
   * In the text format of Prometheus. Those who ask at the same time get the same text.
   * @param details with the paths of files.
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
    // The registry asks of a metric no more than `name` and `get`; its type names the four classes it ships.
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
      'Connections that are open.',
      ofEach(({ open }) => open),
    );
    this.#add(
      'holdfast_connections_total',
      'counter',
      'Connections that were accepted.',
      ofEach(({ total }) => total),
    );
    this.#add(
      'holdfast_connections_refused_total',
      'counter',
      'Connections that the server ended.',
      ofEach(({ refused }) => refused),
    );
  }

  #addProtocols(): void {
    this.#add(
      'holdfast_auth_failures_total',
      'counter',
      'Refusals of a logon, a share, an address or a token, by where it was shown.',
      () =>
        (['nfs', 'smb', 'admin'] as const).map((protocol) => ({
          labels: { protocol },
          value: this.#authFailures.get(protocol) ?? 0,
        })),
    );
    this.#add(
      'holdfast_nfs_jukebox_total',
      'counter',
      'NFS calls that were answered JUKEBOX: come again.',
      () => [{ labels: {}, value: this.jukebox }],
    );
    const ofSmb = (name: keyof SmbCounts, help: string) =>
      this.#add(`holdfast_smb_${name}`, 'gauge', help, () => [{ labels: {}, value: this.#smb()[name] }]);
    ofSmb('sessions', 'SMB sessions.');
    ofSmb('opens', 'Files and folders that are open by SMB, durable ones included.');
    ofSmb('leases', 'Leases of SMB clients.');
  }

  #addSources(): void {
    const ofEach = (samples: (source: WatchedSource, name: string) => Sample[]) => () =>
      [...this.#sources].flatMap(([name, source]) => samples(source, name));
    this.#add(
      'holdfast_source_state',
      'gauge',
      'State of the source of an export: 1 for the one it is in.',
      ofEach(({ state }, name) =>
        sourceStates.map((one) => ({ labels: { export: name, state: one }, value: one === state ? 1 : 0 })),
      ),
    );
    this.#add(
      'holdfast_source_epoch',
      'gauge',
      'How often the source of an export was mounted, as far as it was seen.',
      ofEach(({ epoch }, name) => [{ labels: { export: name }, value: epoch }]),
    );
    this.#add(
      'holdfast_source_quarantined',
      'gauge',
      'Objects of an export that missed their deadline and are left alone for a while.',
      ofEach(({ quarantined }, name) => [{ labels: { export: name }, value: quarantined }]),
    );
    this.#add(
      'holdfast_source_quarantine_clients',
      'gauge',
      'Clients that waited for an object in quarantine; the 20 latest objects of each export.',
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
      'Requests that wait for the source of an export, which is away.',
      ofEach(({ waiting }, name) => [{ labels: { export: name }, value: waiting }]),
    );
    this.#add(
      'holdfast_requests_waiting',
      'gauge',
      'Requests that were not answered at once and are being worked on.',
      ofEach(({ requests }, name) => [{ labels: { export: name }, value: requests.running }]),
    );
    this.#add(
      'holdfast_longest_wait_seconds',
      'gauge',
      'How long the oldest of them has been worked on.',
      ofEach(({ requests }, name) => [{ labels: { export: name }, value: requests.longestMs / 1000 }]),
    );
    this.#add(
      'holdfast_streams',
      'gauge',
      'Files that clients are reading, each counted once for each client.',
      ofEach(({ streams }, name) => [{ labels: { export: name }, value: streams }]),
    );
    this.#add(
      'holdfast_source_outages_total',
      'counter',
      'Times that the source of an export went away.',
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
      'Calls to the source that run, by lane.',
      ofEachLane(({ inFlight }) => inFlight),
    );
    this.#add(
      'holdfast_lane_hung',
      'gauge',
      'Calls to the source that missed their deadline and still run, by lane.',
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
      'Calls to the source that may run at once, by lane.',
      ofEachLane(({ limit }) => limit),
    );
  }
  /** Their number is bounded, but their paths are not everybody's business. */
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
    add('live', 'Whether a mount below an export is there and answers.', ({ state }) =>
      state === 'live' ? 1 : 0,
    );
    add('epoch', 'How often it was mounted, as far as it was seen.', ({ epoch }) => epoch);
    add('quarantined', 'Objects of it that are left alone for a while.', ({ quarantined }) => quarantined);
    add('waiting', 'Requests that wait for it.', ({ waiting }) => waiting);
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
      'Files that are open at the source now.',
      ({ content }) => content.opens - content.closes,
    );
    add(
      'bytes_asked_total',
      'counter',
      'Bytes of files asked of the source.',
      ({ content }) => content.bytesAsked,
    );
    add(
      'bytes_served_total',
      'counter',
      'Bytes of files handed to clients.',
      ({ content }) => content.bytesServed,
    );
    add(
      'bytes_from_memory_total',
      'counter',
      'Of the bytes handed to clients: those that were in memory.',
      ({ cached }) => cached.hits,
    );
    add(
      'bytes_joined_total',
      'counter',
      'Of the bytes handed to clients: those that another read was bringing.',
      ({ cached }) => cached.joined,
    );
    add(
      'bytes_ahead_total',
      'counter',
      'Bytes asked of the source ahead of readers.',
      ({ cached }) => cached.ahead,
    );
    add(
      'held_for_verdict',
      'gauge',
      'Calls whose bad news is held back until it is confirmed.',
      ({ inquiries }) => inquiries.held,
    );
    add(
      'held_for_verdict_total',
      'counter',
      'Calls whose bad news was held back.',
      ({ inquiries }) => inquiries.heldTotal,
    );
    this.#add(
      'holdfast_source_verdicts_total',
      'counter',
      'How held calls ended: with an answer, as an outage, or with the error named.',
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
