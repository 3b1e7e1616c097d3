/** Modification times are right in the first second, later, after a restart and on a second gateway, in both protocols. */
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { Site } from './zoo/daemon.ts';
import { serve, undo, type Served } from './zoo/visit.ts';

/** DATES_WAIT: seconds until the second look. 70 is longer than any kernel caches attributes. */
const WAIT_MS = Number(process.env['DATES_WAIT'] ?? 3) * 1000;
const old = Date.UTC(2019, 5, 1) / 1000;

const cleanUp: (() => unknown)[] = [];
afterEach(() => undo(cleanUp));

/** smbclient shows FILETIMEs in the machine's time zone. */
async function smbDates(served: Served, path: string): Promise<{ created: number; modified: number }> {
  const { stdout } = await served.smb.command(`allinfo "${path.slice(1).replaceAll('/', '\\')}"`);
  const date = (field: string) => {
    const text = new RegExp(`^${field}:\\s+(.*)$`, 'm').exec(stdout)?.[1];
    return Math.round(new Date(text ?? '').getTime() / 1000);
  };
  return { created: date('create_time'), modified: date('write_time') };
}

async function dates(served: Served, path: string) {
  const { mtime } = await served.nfs.attributes(path);
  return { nfs: mtime.seconds, ...(await smbDates(served, path)) };
}

it('are those of the files, at any time and over either protocol', async () => {
  const site = new Site('dates');
  cleanUp.push(() => site.dispose());
  const backing = site.make('backing');
  await site.mount('bindfs', ['-f', '-o', 'allow_other', backing, site.mountpoint]);
  const gateway = () => serve(site.mountpoint, cleanUp);
  const first = await gateway();
  mkdirSync(join(backing, 'folder'));
  writeFileSync(join(backing, 'old.mkv'), 'of 2019');
  utimesSync(join(backing, 'old.mkv'), old, old);
  const made = Math.floor(Date.now() / 1000);
  writeFileSync(join(backing, 'new.mkv'), 'made now');
  utimesSync(join(backing, 'new.mkv'), made, made);
  const paths = ['/new.mkv', '/old.mkv'];
  const all = async (served: Served) => await Promise.all(paths.map((path) => dates(served, path)));
  const expected = [made, old].map((time) => ({ nfs: time, created: time, modified: time }));
  expect(await all(first)).toEqual(expected);
  const folder = await dates(first, '/folder');
  expect(Math.abs(folder.modified - made)).toBeLessThan(60);
  await delay(WAIT_MS);
  expect(await all(first)).toEqual(expected);
  const second = await gateway();
  expect(await all(second)).toEqual(expected);
  await first.gateway.stop();
  expect(await all(await gateway())).toEqual(expected);
  expect((await dates(second, '/folder')).modified).toBe((await dates(await gateway(), '/folder')).modified);
});
