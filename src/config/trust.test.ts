/** Settings for access rights and for secrets. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig, type ConfigFlags } from './load.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-config-'));
  mkdirSync(join(folder, 'media'));
  writeFileSync(join(folder, 'password'), 'hunter2\n');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Given {
  readonly yaml?: string;
  readonly flags?: ConfigFlags;
  readonly env?: Record<string, string>;
  readonly root?: boolean;
}

function load({ yaml, flags = {}, env = {}, root = false }: Given) {
  if (yaml === undefined) return loadConfig({ flags, env, cwd: folder, root });
  const config = join(folder, 'holdfast.yaml');
  writeFileSync(config, yaml);
  return loadConfig({ flags: { ...flags, config }, env, cwd: folder, root });
}

/** The lines of the error message, with the file's path shortened to `file`. */
function refusal(given: Given): string[] {
  try {
    load(given);
  } catch (error) {
    const { message } = error as Error;
    return message.replaceAll(join(folder, 'holdfast.yaml'), 'file').replaceAll(folder, 'FOLDER').split('\n');
  }
  throw new Error('not refused');
}

describe('access settings', () => {
  it('let callers without ids of their own act as uid and gid, in both protocols', () => {
    const [dfs] = load({ flags: { path: 'media' } }).exports;
    expect([dfs!.smb.uid, dfs!.smb.gid, dfs!.nfs.uid, dfs!.nfs.gid]).toEqual([65534, 65534, 65534, 65534]);
    const users = '[{ name: a, passwordFile: password }, { name: b, passwordFile: password, uid: 8 }]';
    const own = `exports: { dfs: { path: media, uid: 5, gid: 6, nfs: { uid: 7 }, smb: { users: ${users} } } }`;
    const [one] = load({ yaml: own }).exports;
    expect([one!.nfs.uid, one!.nfs.gid, one!.smb.uid, one!.smb.gid]).toEqual([7, 6, 5, 6]);
    expect(one!.smb.users.map(({ uid, gid }) => [uid, gid])).toEqual([
      [5, 6],
      [8, 6],
    ]);
    const [two] = load({ yaml: 'exports: { dfs: { path: media, nfs: { uid: 7, gid: 8 } } }' }).exports;
    expect([two!.smb.uid, two!.smb.gid]).toEqual([7, 8]);
  });

  it('tell whether the key of handles was chosen, and take a secret from file or environment', () => {
    writeFileSync(join(folder, 'secret'), 'sixteen letters!\n');
    const yaml = 'exports: { dfs: { path: media } }\n';
    expect(load({ yaml })).toMatchObject({ identity: 'holdfast', ownIdentity: false, secret: undefined });
    expect(load({ yaml: `${yaml}identity: holdfast\n` }).ownIdentity).toBe(false);
    expect(load({ yaml: `${yaml}identity: mine\n` })).toMatchObject({ identity: 'mine', ownIdentity: true });
    const byFile = load({ yaml, env: { HOLDFAST_SECRET_FILE: 'secret' } });
    expect(byFile.secret?.reveal()).toBe('sixteen letters!');
    expect(inspect(byFile)).not.toContain('sixteen');
    const byVariable = load({ yaml: `${yaml}secretEnv: KEY\n`, env: { KEY: 'x'.repeat(16) } });
    expect(byVariable.secret?.reveal()).toBe('x'.repeat(16));
    expect(byVariable.secretVariables).toEqual(['KEY']);
  });

  it('list every variable that holds a secret', () => {
    const users = '[{ name: a, passwordEnv: A }, { name: b, passwordEnv: B }]';
    const yaml = `exports: { one: { path: media, smb: { users: ${users} } }, two: { path: media, smb: { users: [{ name: a, passwordEnv: A }] } } }`;
    expect(load({ yaml, env: { A: 'x', B: 'y' } }).secretVariables).toEqual(['A', 'B']);
  });

  it('keep the admin port on loopback, and show its details to loopback only', () => {
    const { admin } = load({ flags: { path: 'media' }, root: true });
    expect(admin.listen).toEqual({ host: '127.0.0.1', port: 9445 });
    expect(['127.0.0.1', '::1', '10.0.0.1'].map((one) => admin.details.allows(one))).toEqual([
      true,
      true,
      false,
    ]);
    expect(admin.hosts).toEqual([]);
    const yaml = 'exports: { dfs: { path: media } }\nadmin: { details: [10.0.0.0/8], hosts: [GW.example] }\n';
    const configured = load({ yaml }).admin;
    expect([configured.details.allows('10.0.0.1'), configured.hosts]).toEqual([true, ['gw.example']]);
  });

  it.each([
    ['secretFile: password', /^file:2:13: secretFile: holds fewer than 16 characters; expected a secret/],
    ['secretEnv: NOT_SET', /^file:2:12: secretEnv: the environment variable NOT_SET is not set/],
    [
      'secretFile: nowhere',
      /^file:2:13: secretFile: FOLDER\/nowhere cannot be read \(ENOENT\); expected .* the secret$/,
    ],
    ['secretFile: a\nsecretEnv: B', /expected secretFile or secretEnv, not both$/],
    ['admin: { hosts: ["http://x"] }', /expected a host name such as "gateway.example"$/],
  ])('refuses %s', (line, message) => {
    expect(refusal({ yaml: `exports: { dfs: { path: media } }\n${line}\n` })).toEqual([
      expect.stringMatching(message),
    ]);
  });
});
