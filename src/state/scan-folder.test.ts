import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SuspendedScan } from '@tsmb2/server';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLogger } from '../log/index.ts';
import { ScanFolder, scanFolderPath } from './scan-folder.ts';

const log = createLogger('silent');
const key = '0123456789abcdef'.repeat(2);
const scan: SuspendedScan = {
  clientGuid: '07'.repeat(16),
  userName: 'guest',
  share: 'dfs',
  path: ['__all__', 'Größe'],
  nodeId: '9223372036854775807',
  grantedAccess: 0x120089,
  shareAccess: 7,
  options: 1,
  posix: false,
  alias: '18446744073709551615',
  pattern: '*',
  place: { dots: 2, after: '4503599627370495' },
};

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'holdfast-scans-'))));
afterEach(() => rmSync(folder, { recursive: true }));

describe('ScanFolder', () => {
  it('gives a scan to one process once', async () => {
    const place = join(folder, 'a/scans');
    const store = ScanFolder.open(place, log)!;
    await store.save(key, scan);
    expect(statSync(join(place, readdirSync(place)[0]!)).mode & 0o777).toBe(0o600);
    const next = ScanFolder.open(place, log)!;
    const both = await Promise.all([next.take(key), store.take(key)]);
    expect(both.filter((one) => one !== undefined)).toEqual([scan]);
    expect(await next.take(key)).toBeUndefined();
    expect(readdirSync(place)).toEqual([]);
  });

  it.each(['', '{', 'null', '{"share":"dfs"}', JSON.stringify({ ...scan, place: { dots: 3 } })])(
    'believes nothing that does not fit: %s',
    async (content) => {
      writeFileSync(join(folder, `scan-${key}`), content);
      expect(await ScanFolder.open(folder, log)!.take(key)).toBeUndefined();
      expect(readdirSync(folder)).toEqual([]);
    },
  );

  it('takes away what is too old, and nothing that is not its own', () => {
    for (const name of [`scan-${key}`, 'other']) {
      writeFileSync(join(folder, name), '');
      utimesSync(join(folder, name), 1, 1);
    }
    ScanFolder.open(folder, log);
    expect(readdirSync(folder)).toEqual(['other']);
  });

  it('is not where others could put something, or where nothing can be written', () => {
    symlinkSync('/', join(folder, 'link'));
    expect(ScanFolder.open(join(folder, 'link'), log)).toBeUndefined();
    writeFileSync(join(folder, 'file'), '');
    expect(ScanFolder.open(join(folder, 'file/scans'), log)).toBeUndefined();
    chmodSync(folder, 0o777);
    expect(ScanFolder.open(folder, log)).toBeUndefined();
  });
});

describe('scanFolderPath', () => {
  it('is below `state`, else where the system keeps such things', () => {
    expect(scanFolderPath('/var/lib/holdfast', { XDG_RUNTIME_DIR: '/run/user/7' }, 7)).toBe(
      '/var/lib/holdfast/scans',
    );
    expect(scanFolderPath(undefined, { XDG_RUNTIME_DIR: '/run/user/7' }, 7)).toBe('/run/user/7/holdfast');
    expect(scanFolderPath(undefined, {}, 0)).toBe('/run/holdfast');
    expect(scanFolderPath(undefined, {}, 7)).toBeUndefined();
  });
});
