import {
  chmodSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { UserSecret } from '../config/index.ts';
import { keptSecret, seedOf } from './seed.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-seed-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function linkInstead(path: string): void {
  rmSync(path);
  symlinkSync('/etc/hostname', path);
}

const log = pino({ level: 'silent' });
const standard = { identity: 'holdfast', ownIdentity: false, secret: undefined, state: undefined };
const own = { ...standard, identity: 'my-cluster', ownIdentity: true };

it('is the identity alone where there is no secret, which is said', () => {
  const info = vi.spyOn(log, 'info');
  expect(seedOf(standard, log)).toEqual({ text: 'holdfast', secret: false });
  expect(info).toHaveBeenCalledWith(
    expect.stringMatching(/^No secret is set: others could guess NFS handles/),
  );
  expect(seedOf(own, log)).toEqual({ text: 'my-cluster', secret: false });
  expect(info).toHaveBeenCalledWith(expect.stringMatching(/whoever knows `identity`/));
});

it('stays the identity that was chosen, also with a state folder', () => {
  expect(seedOf({ ...own, state: folder }, log)).toEqual({ text: 'my-cluster', secret: false });
  expect(readdirSync(folder)).toEqual([]);
});

it('comes from the configured secret and the identity', () => {
  const secret = new UserSecret('key', 'a secret of some length');
  const seed = seedOf({ ...standard, secret, state: folder }, log);
  expect(seed).toEqual({ text: expect.stringMatching(/^[0-9a-f]{64}$/) as string, secret: true });
  expect(seedOf({ ...own, secret }, log).text).not.toBe(seed.text);
  expect(readdirSync(folder)).toEqual([]);
});

it('is made once in the state folder, for its owner alone', () => {
  const state = join(folder, 'made');
  const seed = seedOf({ ...standard, state }, log);
  expect(seed.secret).toBe(true);
  expect(seedOf({ ...standard, state }, log)).toEqual(seed);
  expect(readdirSync(state)).toEqual(['secret']);
  expect(statSync(join(state, 'secret')).mode & 0o777).toBe(0o600);
  expect(seed.text).not.toContain(readFileSync(join(state, 'secret'), 'utf8').trim());
  expect(seedOf({ ...standard, state: join(folder, 'other') }, log).text).not.toBe(seed.text);
});

it.each<[string, (path: string) => void, RegExp]>([
  ['others can read', (path) => chmodSync(path, 0o640), /read or changed by others/],
  ['is a link', (path) => linkInstead(path), /ELOOP/],
  ['holds something else', (path) => writeFileSync(path, 'abc\n'), /64 hexadecimal digits/],
])('is refused when the file %s: another one would change every handle', (_, spoil, message) => {
  keptSecret(folder);
  spoil(join(folder, 'secret'));
  expect(() => keptSecret(folder)).toThrow(message);
});
