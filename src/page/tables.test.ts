import { describe, expect, it } from 'vitest';
import type { ExportStatus, Status, StreamStatus } from '../admin/status.ts';
import { notice, quarantineRows, streamRows } from './tables.ts';

const now = 1_000_000;

function exported(more: Partial<ExportStatus>): ExportStatus {
  return {
    name: 'dfs',
    path: '/mnt/dfs',
    state: 'live',
    reason: '',
    epoch: 1,
    nodes: 3,
    mounts: [],
    quarantine: [],
    waits: [],
    history: { since: now - 90_000, outages: 0, awaySeconds: 0, changes: [] },
    requests: 0,
    longestWaitSeconds: 0,
    waitingForSource: 0,
    lanes: [],
    descriptors: 0,
    bytesAsked: 0,
    bytesServed: 0,
    bytesFromMemory: 0,
    ...more,
  };
}

const status = (more: Partial<Status>) =>
  ({ at: now, exports: [], streams: [], ...more }) as unknown as Status;

describe('the alarm', () => {
  it('is empty while all sources are live', () => {
    expect(notice(status({ exports: [exported({})] }))).toBe('');
  });

  it('names each source that is away, and who waits for it', () => {
    const mount = { path: '/films', state: 'stuck' as const, reason: 'no answer', epoch: 2, quarantined: 0 };
    const one = exported({
      state: 'down',
      reason: 'gone',
      waitingForSource: 4,
      mounts: [{ ...mount, waiting: 1 }],
    });
    expect(notice(status({ exports: [one] }))).toBe(
      'dfs has been down for 1 min 30 s (gone). 3 requests wait for it and will go on when it is back. ' +
        'dfs/films is stuck (no answer). 1 request waits for it and will go on when it is back.',
    );
  });
});

describe('a row of the quarantine', () => {
  const hung = { path: '/a.mkv', aspect: 'content', strikes: 2, retrySeconds: 0, clients: ['10.0.0.1'] };
  const all = status({ exports: [exported({ quarantine: [hung] })] });

  it('has a button for those who may act', () => {
    const asked: object[] = [];
    const [row] = quarantineRows(all, (action) => asked.push(action));
    row!.button!.press();
    expect(asked).toEqual([{ action: 'retry', export: 'dfs', path: '/a.mkv', aspect: 'content' }]);
  });

  it('has none for others', () => {
    expect(quarantineRows(all, undefined)[0]!.button).toBeUndefined();
  });
});

describe('the state of a stream', () => {
  const stream: StreamStatus = {
    export: 'dfs',
    path: '/a.mkv',
    client: '10.0.0.1',
    protocol: 'nfs',
    bytes: 5e6,
    bytesPerSecond: 1e6,
    reads: 5,
    running: 1,
    position: 4e6,
    size: 8e6,
    firstByteMs: 12,
    slowestMs: 1500,
    seconds: 5,
    idleSeconds: 0,
  };
  const cells = (more: Partial<StreamStatus>) =>
    streamRows(status({ streams: [{ ...stream, ...more }] }))[0]!.cells.map((cell) =>
      typeof cell === 'string' ? cell : cell.text,
    );

  it.each([
    [{}, 'reads'],
    [{ firstByteMs: undefined }, 'begins'],
    [{ idleSeconds: 70 }, 'waits for 1 min 10 s'],
    [{ idleSeconds: 5, running: 0 }, 'quiet for 5 s'],
  ])('of %j', (more, state) => {
    expect(cells(more).at(-1)).toBe(state);
  });

  it('stands beside what it has read', () => {
    expect(cells({}).slice(0, -1)).toEqual([
      '/a.mkv',
      '10.0.0.1',
      'NFS',
      '1.0 MB/s',
      '5.0 MB',
      '50 %',
      '12 ms',
      '1.5 s',
    ]);
  });
});
