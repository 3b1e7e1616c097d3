import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { LocalFolder, measure, repeat, timesOf } from './index.ts';

it('measures a folder with small files and an empty one', async () => {
  const root = mkdtempSync(join(tmpdir(), 'holdfast-measure-'));
  try {
    for (let index = 0; index < 5; index++) {
      mkdirSync(join(root, `release ${index}`));
      writeFileSync(join(root, `release ${index}`, 'film.mkv'), Buffer.alloc(300_000 + index));
    }
    writeFileSync(join(root, 'empty'), '');
    const parts: string[] = [];
    const subject = new LocalFolder(root);
    const report = await measure(subject, { seconds: 2, onPart: (name) => parts.push(name) });
    await subject.close();
    expect(report).toMatchObject({ entries: 11, files: 5, firstByte: { count: 5 }, list: { count: 6 } });
    expect(report.oneStream!.bytes).toBe(300_004);
    expect(report.streams).toMatchObject({ atOnce: 4, bytes: 300_004 + 300_003 + 300_002 + 300_001 });
    expect(report.small!.count).toBeGreaterThan(0);
    expect(parts).toHaveLength(6);
  } finally {
    rmSync(root, { recursive: true });
  }
});

it('measures an empty folder', async () => {
  const root = mkdtempSync(join(tmpdir(), 'holdfast-measure-'));
  try {
    const report = await measure(new LocalFolder(root), { seconds: 1, onPart: () => undefined });
    expect(report).toMatchObject({ entries: 0, files: 0, oneStream: undefined, small: undefined });
  } finally {
    rmSync(root, { recursive: true });
  }
});

it('computes quantiles', () => {
  expect(timesOf([])).toBeUndefined();
  const times = Array.from({ length: 100 }, (_, index) => 100 - index);
  expect(timesOf(times)).toEqual({ count: 100, p50: 51, p99: 100, longest: 100 });
});

it('ends all parallel calls when there is no more work', async () => {
  let left = 10;
  const { bytes, times } = await repeat(60_000, 3, () => Promise.resolve(left-- > 0 ? 2 : undefined));
  expect([bytes, times.length]).toEqual([20, 10]);
});
