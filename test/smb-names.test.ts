/** smbclient and smbget on odd names and symbolic links of a plain folder. */
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { contextOf, pathOfId } from '../protocols/smb2/src/testing/kit.ts';
import { RawClient } from '../protocols/smb2/src/testing/raw-client.ts';
import { Command } from '../protocols/smb2/src/wire/constants.ts';
import { Status } from '../protocols/smb2/src/wire/status.ts';
import { Gateway } from './kit/gateway.ts';
import { outcome, smbclient } from './kit/smb.ts';

const odd = [
  'back\\slash.mkv',
  '\uf022literal.mkv',
  'colon: one?.mkv',
  'plain.mkv',
  'ends in a dot.',
  'cafe\u0301.mkv',
];

let folder: string;
let gateway: Gateway;
const client = (share: string, command: string, into = folder) =>
  smbclient({ port: gateway.port('smb'), share, command, folder: into });

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-smb-names-'));
  for (const path of ['names', 'links/src', 'links/lib']) mkdirSync(join(folder, path), { recursive: true });
  for (const name of odd) writeFileSync(join(folder, 'names', name), name);
  // Two names that differ only in a byte that is not UTF-8.
  for (const byte of [0xe9, 0xe8])
    writeFileSync(
      Buffer.concat([Buffer.from(join(folder, 'names/bytes ')), Buffer.from([byte])]),
      String(byte),
    );
  const link = (target: string, name: string) => symlinkSync(target, join(folder, 'links/lib', name));
  writeFileSync(join(folder, 'links/src/film.mkv'), Buffer.alloc(5000));
  link('../src/film.mkv', 'relative.mkv');
  link(join(folder, 'links/src/film.mkv'), 'absolute.mkv');
  link('../src', 'folder');
  link('/etc/hostname', 'outside');
  link('nothing', 'dangling');
  const config = join(folder, 'holdfast.yaml');
  writeFileSync(
    config,
    `exports:
  names: { path: ${folder}/names, expectFuse: false }
  links: { path: ${folder}/links, expectFuse: false, smb: { followSymlinks: true } }
smb: { listen: "127.0.0.1:0" }
nfs: { listen: "127.0.0.1:0" }
admin: { listen: "127.0.0.1:0" }
`,
  );
  gateway = await Gateway.start({ args: ['serve', '--config', config], protocols: ['smb'] });
});

afterAll(async () => {
  expect(await gateway.stop()).toBe(0);
  rmSync(folder, { recursive: true });
});

const into = (name: string): string => {
  const path = join(folder, name);
  mkdirSync(path);
  return path;
};

describe('names', () => {
  it('are all fetched by mget', async () => {
    const path = into('mget');
    const { code, text } = await client('names', 'prompt; mget *', path);
    expect(code, text).toBe(0);
    const contents = readdirSync(path).map((name) => readFileSync(join(path, name), 'utf8'));
    expect(contents.sort()).toEqual([...odd, '232', '233'].sort());
  });

  it('are all fetched by smbget -R, links with them', async () => {
    for (const [share, count] of [
      ['names', odd.length + 2],
      ['links', 1 + 2 + 1],
    ] as const) {
      const path = into(`smbget-${share}`);
      const url = `smb://127.0.0.1:${gateway.port('smb')}/${share}`;
      const { code, text } = await outcome('smbget', ['-R', '-a', url], { cwd: path });
      expect(code, text).toBe(0);
      const files = readdirSync(path, { recursive: true, withFileTypes: true }).filter((one) => one.isFile());
      expect(files).toHaveLength(count);
    }
  });

  it('are found in another case and in another Unicode normal form', async () => {
    for (const name of ['PLAIN.MKV', 'CAFÉ.MKV', 'café.mkv', 'cafe\u0301.MKV']) {
      const { code, text } = await client('names', `get "${name}" found`);
      expect(code, text).toBe(0);
    }
    const { text } = await client('names', 'get "cafe.mkv" found');
    expect(text).toContain('NT_STATUS_OBJECT_NAME_NOT_FOUND');
  });

  it('are reported for a file id, as macOS asks for aliases', async () => {
    const smb = await RawClient.connect(gateway.port('smb'));
    try {
      await smb.enter('names');
      const asked = smb.createBody('COLON\uf022 ONE\uf025.mkv', [{ name: 'QFid', data: Buffer.alloc(0) }]);
      const id = contextOf((await smb.request(Command.CREATE, asked))!, 'QFid')!.readBigUInt64LE(0);
      expect(await pathOfId(smb, id)).toEqual([Status.SUCCESS, 'colon\uf022 one\uf025.mkv']);
      expect(await pathOfId(smb, id ^ 1n)).toEqual([Status.OBJECT_NAME_NOT_FOUND, '']);
    } finally {
      smb.close();
    }
  });
});

describe('links that are followed', () => {
  it.each(['relative.mkv', 'absolute.mkv', 'folder\\film.mkv'])('%s is read', async (name) => {
    const { code, text } = await client('links', `get lib\\${name} got`);
    expect(code, text).toBe(0);
    expect(readFileSync(join(folder, 'got'))).toHaveLength(5000);
  });

  it('appear as their target, and do not appear if the target is outside the share', async () => {
    const { text } = await client('links', 'cd lib; ls');
    expect(text).toMatch(/absolute\.mkv +N +5000 /);
    expect(text).toMatch(/relative\.mkv +N +5000 /);
    expect(text).toMatch(/folder +D +0 /);
    expect(text).not.toMatch(/outside|dangling/);
  });

  it('never lead out', async () => {
    const { text } = await client('links', 'get lib\\outside stolen');
    expect(text).toContain('NT_STATUS_STOPPED_ON_SYMLINK');
    expect(readdirSync(folder)).not.toContain('stolen');
  });
});
