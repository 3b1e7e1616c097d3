/** smbclient, rpcclient and impacket on a FUSE tree, as guests and as users. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { contentDigest, contentSeed, firstDifference, FuseTree, MIB, releasePath } from './kit/fuse.ts';
import { Gateway } from './kit/gateway.ts';
import { listShares, outcome, PYTHON, rpcclient, smbclient, type SmbClientOptions } from './kit/smb.ts';

const RELEASES = 30;
const VIDEO = 64 * MIB;
const SUBTITLE = 48_321;
const dialects = ['SMB2_02', 'SMB2_10', 'SMB3_00', 'SMB3_02', 'SMB3_11'];
const media = 'media%correct horse';
const changes = [
  'put /etc/hostname new',
  'mkdir new',
  'rm version.txt',
  'rename version.txt new',
  'rmdir __bad__',
  'deltree __bad__',
  'setmode version.txt +r',
  'hardlink version.txt new',
];
const impacket = fileURLToPath(new URL('kit/impacket-client.py', import.meta.url));

let fuse: FuseTree;
let gateway: Gateway;
/** A gateway without users, and one without guests. */
let open: Gateway;
let strict: Gateway;
let folder: string;

const inFolder = (name: string) => join(folder, name);
const onWire = (path: string) => path.slice(1).replaceAll('/', '\\');
const client = (options: Partial<SmbClientOptions>) =>
  smbclient({ port: gateway.port('smb'), share: 'dfs', command: 'ls', ...options });
const asUser = (options: Partial<SmbClientOptions>) => client({ share: 'shelf', user: media, ...options });
/** The latest `mounted` log line of a share, with the negotiated settings. */
const mounted = (share: string) =>
  gateway.log.findLast((line) => line['msg'] === 'mounted' && line['export'] === share);

async function fetches(path: string, size: number, options: Partial<SmbClientOptions> = {}): Promise<void> {
  const copy = inFolder('fetched');
  const { code, text } = await client({ command: `get ${onWire(path)} ${copy}`, ...options });
  expect(code, text).toBe(0);
  const bytes = readFileSync(copy);
  expect([bytes.length, firstDifference(contentSeed(path), 0, bytes)]).toEqual([size, -1]);
  rmSync(copy);
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-smb-clients-'));
  fuse = await FuseTree.start({
    releases: RELEASES,
    extra: [
      { type: 'symlink', path: '/latest', target: '__all__' },
      { type: 'file', path: `/odd/Ünï "quoted": 100%?.mkv`, size: 5000 },
    ],
  });
  writeFileSync(inFolder('password'), 'correct horse\n');
  // NTOWFv1 of "password".
  writeFileSync(inFolder('hash'), '8846f7eaee8fb117ad06bdd830b7586c\n');
  const path = fuse.mountpoint;
  writeFileSync(
    inFolder('holdfast.yaml'),
    `exports:
  dfs: { path: ${path} }
  elsewhere: { path: ${path}, clients: [10.0.0.0/8] }
  shelf:
    path: ${path}
    smb:
      users:
        - { name: media, passwordFile: ${inFolder('password')} }
        - { name: Renée, passwordEnv: SHELF_PASSWORD }
        - { name: hashed, ntHashFile: ${inFolder('hash')} }
  other: { path: ${path}, smb: { users: [{ name: somebody, passwordEnv: SHELF_PASSWORD }] } }
smb: { listen: "127.0.0.1:0" }
nfs: { listen: "127.0.0.1:0" }
admin: { listen: "127.0.0.1:0" }
`,
  );
  writeFileSync(
    inFolder('strict.yaml'),
    `exports:
  shelf: { path: ${path}, smb: { users: [{ name: media, passwordFile: ${inFolder('password')} }] } }
  sealed:
    path: ${path}
    smb: { users: [{ name: media, passwordFile: ${inFolder('password')} }], encrypt: true, followSymlinks: true }
smb: { listen: "127.0.0.1:0" }
nfs: { listen: "127.0.0.1:0" }
admin: { listen: "127.0.0.1:0" }
`,
  );
  const loopback = '127.0.0.1:0';
  [gateway, open, strict] = await Promise.all([
    Gateway.start({
      args: ['serve', '--config', inFolder('holdfast.yaml')],
      protocols: ['smb'],
      env: { SHELF_PASSWORD: 'pässword' },
    }),
    Gateway.start({
      args: ['serve', path, '--smb', loopback, '--nfs', loopback, '--admin', loopback],
      protocols: ['smb'],
    }),
    Gateway.start({ args: ['serve', '--config', inFolder('strict.yaml')], protocols: ['smb'] }),
  ]);
}, 60_000);

afterAll(async () => {
  expect(await gateway.stop()).toBe(0);
  expect(await open.stop()).toBe(0);
  expect(await strict.stop()).toBe(0);
  await fuse.dispose();
  rmSync(folder, { recursive: true });
});

describe.each(dialects)('smbclient with %s', (dialect) => {
  const options = [`--max-protocol=${dialect}`, `--option=client min protocol=${dialect}`];

  it('lists and fetches as a guest', async () => {
    const { code, text } = await client({ options, command: 'ls; cd __all__; ls' });
    expect(code, text).toBe(0);
    expect(text).toMatch(/version\.txt +N +7 /);
    expect(text.match(/Some\.Release\.\d+\S* +D /g)).toHaveLength(RELEASES);
    expect(mounted('dfs')).toMatchObject({ guest: true, signed: false, encrypted: false });
    await fetches(releasePath(3, 'video.en.srt'), SUBTITLE, { options });
  });

  it('lists and fetches as a user', async () => {
    await fetches(releasePath(4, 'video.en.srt'), SUBTITLE, { options, share: 'shelf', user: media });
    expect(mounted('shelf')).toMatchObject({ user: 'media', guest: false });
  });

  it('fetches a large file, signed', async () => {
    const signed = [...options, '--client-protection=sign'];
    await fetches(releasePath(5, 'video.mkv'), VIDEO, { options: signed, share: 'shelf', user: media });
    expect(mounted('shelf')).toMatchObject({ signed: true, encrypted: false });
  });

  it('shows the information about a file', async () => {
    const command = `allinfo ${onWire(releasePath(1, 'video.mkv'))}; allinfo __all__; volume; du`;
    const { code, text } = await client({ options, command });
    expect(code, text).toBe(0);
    expect(text).toMatch(/altname: VIDEO\.MKV/i);
    expect(text).toContain(`stream: [::$DATA], ${VIDEO} bytes`);
    expect(text).toMatch(/attributes: D \(10\)/);
    expect(text).toMatch(/Volume: \|dfs\| serial number 0x[0-9a-f]+/);
    expect(text).not.toMatch(/NT_STATUS/);
  });
});

describe('protection', () => {
  it.each(['aes-128-gcm', 'aes-128-ccm', 'aes-256-gcm', 'aes-256-ccm'])('encrypts by %s', async (cipher) => {
    const options = ['--client-protection=encrypt', `--option=client smb3 encryption algorithms=${cipher}`];
    await fetches(releasePath(6, 'video.mkv'), VIDEO, { options, share: 'shelf', user: media });
    expect(mounted('shelf')).toMatchObject({ encrypted: true });
  });

  it.each(['SMB3_00', 'SMB3_02'])('encrypts with %s, which knows AES-128-CCM only', async (dialect) => {
    const options = ['--client-protection=encrypt', `--max-protocol=${dialect}`];
    await fetches(releasePath(6, 'video.en.srt'), SUBTITLE, { options, share: 'shelf', user: media });
    expect(mounted('shelf')).toMatchObject({ encrypted: true });
  });

  it.each(['aes-128-gmac', 'aes-128-cmac', 'hmac-sha256'])('signs by %s', async (algorithm) => {
    const options = ['--client-protection=sign', `--option=client smb3 signing algorithms=${algorithm}`];
    await fetches(releasePath(7, 'video.mkv'), VIDEO, { options, share: 'shelf', user: media });
    expect(mounted('shelf')).toMatchObject({ signed: true });
  });
});

describe('a share that requires encryption and follows links', () => {
  const sealed = (options: string[], command: string) =>
    client({ port: strict.port('smb'), share: 'sealed', user: media, options, command });

  it('refuses clients that cannot encrypt, and smbclient encrypts without being told to', async () => {
    expect((await sealed(['--max-protocol=SMB2_10'], 'ls')).text).toContain('NT_STATUS_ACCESS_DENIED');
    const { code, text } = await sealed([], 'ls');
    expect(code, text).toBe(0);
  });

  it('shows the target of a link', async () => {
    const { code, text } = await sealed([], 'cd latest; ls');
    expect(code, text).toBe(0);
    expect(text.match(/Some\.Release\.\d+\S* +D /g)).toHaveLength(RELEASES);
  });
});

describe('smbclient', () => {
  it('lists the shares', async () => {
    for (const target of [{}, { user: media }]) {
      const { code, stdout } = await listShares({ port: gateway.port('smb'), ...target });
      expect(code).toBe(0);
      expect(stdout.split('\n').filter((line) => /^(Disk|IPC)\|/.test(line))).toEqual([
        'Disk|dfs|served by Holdfast',
        'Disk|elsewhere|served by Holdfast',
        'Disk|shelf|served by Holdfast',
        'Disk|other|served by Holdfast',
        'IPC|IPC$|IPC Service',
      ]);
    }
  });

  it('packs a release by tar', async () => {
    const command = `cd ${onWire(releasePath(8))}; tar c ${inFolder('release.tar')}`;
    expect((await client({ command })).code).toBe(0);
    const { code, text } = await outcome('tar', ['-xf', inFolder('release.tar'), '-C', folder]);
    expect(code, text).toBe(0);
    const video = readFileSync(inFolder(`.${releasePath(8, 'video.mkv')}`));
    expect([video.length, firstDifference(contentSeed(releasePath(8, 'video.mkv')), 0, video)]).toEqual([
      VIDEO,
      -1,
    ]);
  });

  it('fetches folders with everything below them', async () => {
    const target = inFolder('mget');
    mkdirSync(target);
    const command = `recurse on; prompt off; cd __all__; mget *00001* *00002*`;
    const { code, text } = await client({ command, folder: target });
    expect(code, text).toBe(0);
    for (const index of [1, 2]) {
      const release = releasePath(index).replace('/__all__', target);
      expect(statSync(join(release, 'video.mkv')).size).toBe(VIDEO);
      const subtitle = readFileSync(join(release, 'video.en.srt'));
      const seed = contentSeed(releasePath(index, 'video.en.srt'));
      expect([subtitle.length, firstDifference(seed, 0, subtitle)]).toEqual([SUBTITLE, -1]);
    }
    rmSync(target, { recursive: true });
  });

  it('finds a file by a name in another case, and one with characters that SMB reserves', async () => {
    await fetches('/version.txt', 7, { command: `get VERSION.TXT ${inFolder('fetched')}` });
    const listing = await client({ command: 'cd odd; ls' });
    expect(listing.text).toMatch(/Ünï .*\.mkv +N +5000/);
  });

  it('reports a symlink as such', async () => {
    const { text } = await client({ command: 'allinfo latest' });
    expect(text).toContain('symlink: subst=[__all__], print=[__all__], flags=1');
  });

  it.each(changes)('cannot %s', async (command) => {
    for (const target of [{}, { share: 'shelf', user: media }]) {
      const { text } = await client({ command, ...target });
      expect(text).toMatch(/NT_STATUS_(ACCESS_DENIED|MEDIA_WRITE_PROTECTED)/);
    }
    await fetches('/version.txt', 7);
  });
});

describe('who may log on', () => {
  it('is a user by a password from the environment, or by its hash', async () => {
    expect((await client({ share: 'shelf', user: 'Renée%pässword' })).code).toBe(0);
    expect((await client({ share: 'shelf', user: 'hashed%password' })).code).toBe(0);
    expect((await client({ share: 'shelf', user: 'MEDIA%correct horse' })).code).toBe(0);
  });

  it.each([
    ['a wrong password', 'media%wrong', []],
    ['no password', 'media%', []],
    ['the password of somebody else', 'media%pässword', []],
    ['NTLMv1', media, ['--option=client ntlmv2 auth=no']],
  ])('is not somebody with %s', async (_, user, options) => {
    const before = gateway.log.length;
    const { code, text } = await client({ share: 'shelf', user, options });
    expect(code).not.toBe(0);
    expect(text).toMatch(/NT_STATUS_(LOGON_FAILURE|ACCESS_DENIED)/);
    const refusal = gateway.log.slice(before).filter((line) => String(line['msg']).startsWith('refused'));
    expect(refusal).toHaveLength(1);
    expect(refusal[0]).toMatchObject({ client: '127.0.0.1', user: user.split('%')[0]! });
  });

  it('is not an unknown user, who is a guest where there are guests', async () => {
    const user = 'nobody%correct horse';
    expect((await client({ user })).code).toBe(0);
    expect(mounted('dfs')).toMatchObject({ guest: true });
    expect((await client({ share: 'shelf', user })).text).toContain('NT_STATUS_ACCESS_DENIED');
    const { text } = await client({ port: strict.port('smb'), share: 'shelf', user });
    expect(text).toContain('NT_STATUS_LOGON_FAILURE');
    expect((await client({ port: strict.port('smb'), share: 'shelf' })).text).toMatch(
      /NT_STATUS_LOGON_FAILURE/,
    );
    expect((await asUser({ port: strict.port('smb') })).code).toBe(0);
  });

  it('is not a guest where there are users, nor a user of another share', async () => {
    for (const user of [{}, { user: 'somebody%pässword' }]) {
      const { code, text } = await client({ share: 'shelf', ...user });
      expect(code).not.toBe(0);
      expect(text).toContain('NT_STATUS_ACCESS_DENIED');
    }
  });

  it('is nobody from an address that no rule allows', async () => {
    for (const user of [{}, { user: media }]) {
      expect((await client({ share: 'elsewhere', ...user })).text).toContain('NT_STATUS_ACCESS_DENIED');
    }
    const line = gateway.log.findLast((entry) => entry['msg'] === 'refused');
    expect(line).toMatchObject({ export: 'elsewhere', client: '127.0.0.1' });
    expect((await client({ share: 'nothing' })).text).toContain('NT_STATUS_BAD_NETWORK_NAME');
  });

  it('is anybody, with any name, where no users are configured', async () => {
    for (const user of [{}, { user: 'whoever%whatever' }, { user: 'guest%' }]) {
      const { code, text } = await client({ port: open.port('smb'), ...user });
      expect(code, text).toBe(0);
    }
  });

  it('is no guest that asks for signing or encryption, which need a user', async () => {
    for (const protection of ['sign', 'encrypt']) {
      const options = [`--client-protection=${protection}`];
      const { code, text } = await client({ options });
      expect(code).not.toBe(0);
      expect(text).toContain('NT_STATUS_ACCESS_DENIED');
    }
    expect((await asUser({})).code).toBe(0);
  });
});

describe('other clients', () => {
  it('rpcclient asks who the server is and what it shares', async () => {
    const command = 'srvinfo; netshareenumall; netsharegetinfo shelf';
    for (const options of [[], ['--client-protection=sign'], ['--client-protection=encrypt']]) {
      const { code, text } = await rpcclient({ port: gateway.port('smb'), user: media, command, options });
      expect(code, text).toBe(0);
      expect(text).toMatch(/HOLDFAST .*Holdfast/);
      expect(text.match(/^netname: .*$/gm)).toEqual(
        ['dfs', 'elsewhere', 'shelf', 'other', 'IPC$', 'shelf'].map((name) => `netname: ${name}`),
      );
    }
    const sticky = await rpcclient({ port: gateway.port('smb'), user: media, command: 'netshareenum' });
    expect(sticky.text).toContain('netname: dfs');
  });

  it.each([
    ['2.0.2', media, '0x202'],
    ['2.1', media, '0x210'],
    ['3.0', media, '0x300'],
    ['any', '%', '0x300'],
  ])('impacket lists and reads: %s, as %s', async (dialect, user, agreed) => {
    const share = user === media ? 'shelf' : 'dfs';
    const file = releasePath(9, 'video.mkv');
    const { code, stdout, text } = await outcome(PYTHON, [
      impacket,
      String(gateway.port('smb')),
      dialect,
      ...user.split('%'),
      share,
      onWire(releasePath(9)),
      onWire(file),
    ]);
    expect(code, text).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      dialect: agreed,
      guest: user !== media,
      shares: ['dfs', 'elsewhere', 'shelf', 'other', 'IPC$'],
      entries: [
        { name: '.', directory: true },
        { name: '..', directory: true },
        { name: 'video.en.srt', directory: false, size: SUBTITLE },
        { name: 'video.mkv', directory: false, size: VIDEO },
      ],
      sha256: contentDigest(contentSeed(file), VIDEO),
    });
  });
});

it('leaves no error in the gateways’ logs', () => {
  expect([...gateway.errors(), ...open.errors(), ...strict.errors()]).toEqual([]);
});
