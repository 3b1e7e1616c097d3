import { expect, it, vi } from 'vitest';
import { History } from './history.ts';
import { Metrics } from './metrics.ts';
import { quantile, Series } from './series.ts';
import { Streams } from './streams.ts';

const node = (path: string, size = 1000) => ({ path, attributes: { size } });

it('records the reads of each client', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  try {
    const streams = new Streams();
    const film = node('/a/film.mkv', 4000);
    let answer!: (outcome: { length: number }) => void;
    const slow = new Promise<{ length: number }>((resolve) => (answer = resolve));
    const first = streams.of(film, 'nfs', '10.0.0.1');
    void first.follow(0, slow);
    vi.advanceTimersByTime(3000);
    expect(first.status('dfs')).toMatchObject({
      firstByteMs: undefined,
      running: 1,
      slowestMs: 3000,
      bytes: 0,
    });
    answer({ length: 1000 });
    await slow;
    vi.advanceTimersByTime(1000);
    expect(streams.of(film, 'nfs', '10.0.0.1')).toBe(first);
    expect(streams.of(film, 'smb', '10.0.0.1').follow(2000, 500)).toBe(500);
    await expect(first.follow(1000, Promise.reject(new Error('gone')))).rejects.toThrow('gone');
    const [smb, nfs] = [streams.of(film, 'smb', '10.0.0.1'), first].map((one) => one.status('dfs'));
    expect(nfs).toMatchObject({ path: '/a/film.mkv', firstByteMs: 3000, reads: 1, bytes: 1000, running: 0 });
    expect(smb).toMatchObject({ protocol: 'smb', position: 2000, size: 4000, bytes: 500, firstByteMs: 0 });
    vi.advanceTimersByTime(16_000);
    expect(streams.current).toEqual([]);
  } finally {
    vi.useRealTimers();
  }
});

it('computes the rate of a steady stream', () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  try {
    const stream = new Streams().of(node('/f'), 'nfs', 'a');
    for (let tick = 0; tick < 200; tick++) {
      vi.advanceTimersByTime(100);
      void stream.follow(tick * 1e6, 1e6);
    }
    const { bytesPerSecond } = stream.status('dfs');
    expect(bytesPerSecond).toBeGreaterThan(9.5e6);
    expect(bytesPerSecond).toBeLessThan(10.6e6);
  } finally {
    vi.useRealTimers();
  }
});

it('keeps a limited number of streams, the most recent ones', () => {
  const streams = new Streams();
  for (let index = 0; index < 1000; index++) void streams.of(node(`/${index}`), 'nfs', 'a').follow(0, 1);
  const paths = streams.current.map((stream) => stream.node.path);
  expect(paths.length).toBeLessThanOrEqual(256);
  expect(paths).toContain('/999');
});

it('records the state changes of a source', () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  try {
    const history = new History();
    history.note({ state: 'live', reason: 'answering', epoch: 1 });
    vi.advanceTimersByTime(60_000);
    history.note({ state: 'stuck', reason: 'no answer', epoch: 1 });
    vi.advanceTimersByTime(5_000);
    history.note({ state: 'down', reason: 'gone', epoch: 1 });
    vi.advanceTimersByTime(5_000);
    expect(history.status).toMatchObject({ outages: 1, awaySeconds: 10, since: Date.now() - 5_000 });
    history.note({ state: 'live', reason: 'answering', epoch: 2 });
    vi.advanceTimersByTime(5_000);
    const { changes, ...status } = history.status;
    expect(status).toMatchObject({ outages: 1, awaySeconds: 10 });
    expect(changes.map(({ state }) => state)).toEqual(['live', 'down', 'stuck', 'live']);
    for (let turn = 0; turn < 100; turn++) history.note({ state: 'down', reason: '', epoch: 2 });
    expect(history.status.changes.length).toBe(50);
  } finally {
    vi.useRealTimers();
  }
});

it('samples throughput and latency', () => {
  const metrics = new Metrics({ process: false });
  const read = metrics.request('nfs', 'READ');
  const series = new Series(metrics, () => 7);
  try {
    read.observe(0.02, 100, 5e6, true);
    series.take();
    series.take();
    const [busy, quiet] = series.samples;
    expect(busy!.nfsBytes).toBeGreaterThan(0);
    expect(busy).toMatchObject({ smbBytes: 0, readP50: 25, readP99: 25, waiting: 7 });
    expect(quiet).toMatchObject({ nfsBytes: 0, requests: 0, readP50: undefined });
  } finally {
    series.close();
  }
});

it('computes quantiles from buckets', () => {
  const buckets = new Float64Array(20);
  expect(quantile(buckets, 0.5)).toBeUndefined();
  buckets[6] = 99;
  buckets[19] = 1;
  expect([quantile(buckets, 0.5), quantile(buckets, 0.999)]).toEqual([5, 120_000]);
});
