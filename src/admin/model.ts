/** Collects the status of a running gateway. It makes no call that could hang. */
import { performance } from 'node:perf_hooks';
import type { Series } from './series.ts';
import type {
  ExportStatus,
  ListeningStatus,
  NfsClientStatus,
  SmbSessionStatus,
  Status,
  StreamStatus,
} from './status.ts';

/** The most streams, sessions and clients in a status. */
export const mostShown = 100;

export interface ModelOptions {
  readonly version: string;
  readonly series: Series;
  readonly cache: { readonly bytes: number; readonly limit: number };
  readonly ready: () => boolean;
  readonly listening: () => readonly ListeningStatus[];
  readonly exports: () => readonly ExportStatus[];
  readonly streams: () => readonly StreamStatus[];
  readonly sessions: (most: number) => readonly SmbSessionStatus[];
  readonly nfsClients: (most: number) => readonly NfsClientStatus[];
}

const startedAt = Math.round(performance.timeOrigin);

export function gather(options: ModelOptions): Status {
  const { version, series, cache } = options;
  return {
    at: Date.now(),
    ready: options.ready(),
    process: {
      version,
      node: process.versions.node,
      pid: process.pid,
      startedAt,
      rssBytes: process.memoryUsage.rss(),
      cacheBytes: cache.bytes,
      cacheLimitBytes: cache.limit,
      loopDelayMs: series.loopDelayMs,
    },
    listening: options.listening(),
    exports: options.exports(),
    streams: options
      .streams()
      .toSorted((a, b) => b.bytesPerSecond - a.bytesPerSecond)
      .slice(0, mostShown),
    sessions: options.sessions(mostShown),
    nfsClients: options.nfsClients(mostShown),
    samples: series.samples,
  };
}
