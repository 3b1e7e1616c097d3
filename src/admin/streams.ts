/** Who reads which file: told by the protocols at each READ, so it costs a few additions and keeps nothing of the request. */
import { renderName } from '../log/index.ts';
import type { StreamStatus } from './status.ts';

/** Streams of one export that are remembered; the one that was quiet for longest gives way. */
const most = 256;
/** After so long without a read it is none any more, ms. */
const forgottenAfter = 15_000;
/** The time over which a rate is taken, ms: older bytes count ever less. */
const rateSpan = 4_000;

/** What a stream needs to know of the file. */
export interface StreamedNode {
  /** A byte string. */
  readonly path: string;
  readonly attributes: { readonly size: number } | undefined;
}

type Outcome = number | { readonly length: number };

export class Stream {
  readonly node: StreamedNode;
  readonly protocol: 'nfs' | 'smb';
  readonly client: string;
  readonly #since = performance.now();
  #lastAt = this.#since;
  #busySince = 0;
  #running = 0;
  #reads = 0;
  #bytes = 0;
  #position = 0;
  #firstByteMs: number | undefined;
  #slowestMs = 0;
  /** Bytes, each weighed by how long ago it came. */
  #weight = 0;
  #weighedAt = this.#since;

  constructor(node: StreamedNode, protocol: 'nfs' | 'smb', client: string) {
    this.node = node;
    this.protocol = protocol;
    this.client = client;
  }

  get lastAt(): number {
    return this.#lastAt;
  }

  get isOver(): boolean {
    return this.#running === 0 && performance.now() - this.#lastAt > forgottenAfter;
  }

  /** Follows one READ to its end. Returns what it was given. */
  follow<T extends Outcome>(offset: number, result: T | Promise<T>): T | Promise<T> {
    const now = performance.now();
    this.#lastAt = now;
    if (this.#running === 0) this.#busySince = now;
    this.#running += 1;
    if (offset > this.#position) this.#position = offset;
    if (result instanceof Promise) void result.then(this.#ended, this.#failed);
    else this.#ended(result);
    return result;
  }

  readonly #ended = (outcome: Outcome): void => {
    const length = typeof outcome === 'number' ? outcome : outcome.length;
    const now = performance.now();
    this.#firstByteMs ??= now - this.#since;
    this.#reads += 1;
    this.#bytes += length;
    this.#weight = this.#weightAt(now) + length;
    this.#weighedAt = now;
    this.#settled(now);
  };

  readonly #failed = (): void => this.#settled(performance.now());

  #settled(now: number): void {
    // Reads of a stream are answered in about the order in which they came.
    this.#slowestMs = Math.max(this.#slowestMs, now - this.#busySince);
    this.#busySince = now;
    this.#lastAt = now;
    this.#running -= 1;
  }

  #weightAt(now: number): number {
    return this.#weight * Math.exp((this.#weighedAt - now) / rateSpan);
  }

  status(exportName: string): StreamStatus {
    const now = performance.now();
    // A stream younger than the span has not had the time to gather its weight.
    const span = rateSpan * (1 - Math.exp((this.#since - now) / rateSpan)) || 1;
    const running = this.#running;
    return {
      export: exportName,
      path: renderName(this.node.path),
      client: this.client,
      protocol: this.protocol,
      bytes: this.#bytes,
      bytesPerSecond: Math.round((this.#weightAt(now) / span) * 1000),
      reads: this.#reads,
      running,
      position: this.#position,
      size: this.node.attributes?.size,
      firstByteMs: this.#firstByteMs === undefined ? undefined : Math.round(this.#firstByteMs),
      slowestMs: Math.round(Math.max(this.#slowestMs, running > 0 ? now - this.#busySince : 0)),
      seconds: Math.round((now - this.#since) / 1000),
      idleSeconds: Math.round((now - this.#lastAt) / 1000),
    };
  }
}

/** The streams of one export. */
export class Streams {
  readonly #byNode = new Map<StreamedNode, Stream[]>();
  #count = 0;

  /** The stream of this reader of this file, made at its first READ. */
  of(node: StreamedNode, protocol: 'nfs' | 'smb', client: string): Stream {
    const known = this.#byNode.get(node);
    if (known)
      for (const stream of known) if (stream.client === client && stream.protocol === protocol) return stream;
    if (this.#count >= most) this.#makeRoom();
    const stream = new Stream(node, protocol, client);
    const list = this.#byNode.get(node);
    if (list) list.push(stream);
    else this.#byNode.set(node, [stream]);
    this.#count += 1;
    return stream;
  }

  /** Those that are being read, the latest first. */
  get current(): Stream[] {
    const all = [...this.#byNode.values()].flat();
    for (const stream of all) if (stream.isOver) this.#drop(stream);
    return all.filter((stream) => !stream.isOver).sort((a, b) => b.lastAt - a.lastAt);
  }

  #makeRoom(): void {
    const current = this.current;
    for (const stream of current.slice(most - 1)) this.#drop(stream);
  }

  #drop(stream: Stream): void {
    const list = this.#byNode.get(stream.node) ?? [];
    const rest = list.filter((one) => one !== stream);
    this.#count -= list.length - rest.length;
    if (rest.length > 0) this.#byNode.set(stream.node, rest);
    else this.#byNode.delete(stream.node);
  }
}
