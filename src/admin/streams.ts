/**
 * Records which client reads which file. The protocols report each READ, so this must be cheap: a few additions, and nothing of
 * the request is kept.
 */
import { renderName } from '../log/index.ts';
import type { StreamStatus } from './status.ts';

/** The most streams of one export. Beyond it, the stream without a read for the longest time is dropped. */
const most = 256;
/** A stream ends after this long without a read, in ms. */
const forgottenAfter = 15_000;
/** Time constant of the rate in ms: bytes count exponentially less as they get older. */
const rateSpan = 4_000;

/** The fields of a tree node that a stream uses. */
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
  /** Sum of the bytes, weighted by age. */
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

  /** Records one READ until it ends. Returns `result` unchanged. */
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
    // Approximation: the reads of a stream are answered roughly in order of arrival.
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
    // Correct for a stream that is younger than the time constant: its weight is still growing.
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

  /** The stream of this client and file; created at the first READ. */
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

  /** The active streams, most recently read first. */
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
