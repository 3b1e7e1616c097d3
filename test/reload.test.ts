/** SIGHUP: the gateway reads its configuration again and keeps the connections that it still allows. */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { NfsStatus } from '../protocols/nfs-rpc/src/status.ts';
import { contentSeed, firstDifference, FuseTree, releasePath } from './kit/fuse.ts';
import { Gateway, type LogLine } from './kit/gateway.ts';
import { NfsClient, NfsFailure } from './kit/nfs.ts';
import { smbclient } from './kit/smb.ts';

const applied = 'configuration read again';
const local = ['--nfs', '127.0.0.1:0', '--smb', '127.0.0.1:0', '--admin', '127.0.0.1:0'];

let folder: string;
let file: string;
const cleanUp: (() => unknown)[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-reload-'));
  file = join(folder, 'holdfast.yaml');
  for (const name of ['one', 'two', 'three']) {
    mkdirSync(join(folder, name));
    writeFileSync(join(folder, name, `${name}.txt`), name);
  }
});
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
  rmSync(folder, { recursive: true });
});

/** Writes the configuration. Each export's default path is the folder of the same name; the values override its settings. */
function configure(exports: Readonly<Record<string, object>>, settings: object = {}): void {
  const entries = Object.entries(exports).map(([name, more]) => [
    name,
    { path: join(folder, name), expectFuse: false, ...more },
  ]);
  writeFileSync(file, JSON.stringify({ exports: Object.fromEntries(entries) as object, ...settings }));
}

async function start(...args: string[]): Promise<Gateway> {
  const gateway = await Gateway.start({ args, protocols: ['nfs', 'smb', 'admin'] });
  cleanUp.push(() => gateway.kill());
  return gateway;
}

const serve = () => start('serve', '--config', file, ...local);

async function reload(gateway: Gateway, outcome = applied): Promise<LogLine> {
  const before = gateway.log.length;
  gateway.signal('SIGHUP');
  return await gateway.whenLogged((line) => line['msg'] === outcome && gateway.log.indexOf(line) >= before);
}

const status = (promise: Promise<unknown>) =>
  promise.then(
    () => NfsStatus.OK,
    (error: unknown) => (error instanceof NfsFailure ? error.status : error),
  );

/** Requests that wait for the source of an export. */
async function waiting(gateway: Gateway, name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${gateway.port('admin')}/metrics`)).text();
  return Number(new RegExp(`^holdfast_source_waiting\\{export="${name}"\\} (\\d+)$`, 'm').exec(text)?.[1]);
}

/** An smbclient that stays connected and runs one command at a time. stdbuf makes it flush its output after each line. */
function openSmbClient(port: number, share: string): (command: string) => Promise<string> {
  const args = ['--configfile=/dev/null', '--debug-stdout', '--no-pass', `--port=${port}`];
  const child = spawn('stdbuf', ['-oL', 'smbclient', ...args, `//127.0.0.1/${share}`], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  cleanUp.push(() => child.kill('SIGKILL'));
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  return async (command) => {
    text = '';
    child.stdin.write(`${command}\n`);
    await expect.poll(() => text, { timeout: 20_000 }).toMatch(/blocks available|NT_STATUS_\w+/);
    return text;
  };
}

describe('SIGHUP', () => {
  it('hides the folder below a mount that is expected from now on, even from those who have seen it', async () => {
    mkdirSync(join(folder, 'one', 'a'));
    writeFileSync(join(folder, 'one', 'a', 'under.txt'), 'under');
    configure({ one: { mounts: [] } });
    const gateway = await serve();
    const client = await NfsClient.connect(gateway.port('nfs'));
    cleanUp.push(() => client.destroy());
    const root = await client.mount('/one');
    const a = await client.walk(root, '/a');
    const under = await client.walk(root, '/a/under.txt');
    const named = async () => (await client.readdirplus(a, 0)).entries.map(({ name }) => name);
    expect(await named()).toContain('under.txt');
    configure({ one: { mounts: ['a'] } });
    await reload(gateway);
    const asked = [named(), client.read(under, 0, 5), client.walk(root, '/a/under.txt')];
    for (const one of asked) one.catch(() => undefined);
    await expect.poll(() => waiting(gateway, 'one')).toBe(asked.length);
    // The operator was wrong: it is a plain folder.
    configure({ one: { mounts: [] } });
    await reload(gateway);
    await Promise.all(asked);
    expect(await named()).toContain('under.txt');
  });

  it('adds and removes exports and changes their rules, and keeps connections', async () => {
    configure({ one: {}, two: {} });
    const gateway = await serve();
    const nfs = await NfsClient.connect(gateway.port('nfs'));
    cleanUp.push(() => nfs.close());
    const [one, two] = [await nfs.mount('/one'), await nfs.mount('/two')];
    const smbOne = openSmbClient(gateway.port('smb'), 'one');
    const smbTwo = openSmbClient(gateway.port('smb'), 'two');
    expect(await smbOne('ls')).toContain('one.txt');
    expect(await smbTwo('ls')).toContain('two.txt');

    configure({ one: { nfs: { squash: 'all', uid: 7, gid: 7 } }, three: {} });
    expect(await reload(gateway)).toMatchObject({ added: ['three'], removed: ['two'], kept: ['one'] });
    expect(await status(nfs.lookup(one, 'one.txt'))).toBe(NfsStatus.OK);
    expect(await status(nfs.getattr(two))).toBe(NfsStatus.BADHANDLE);
    expect((await nfs.lookup(await nfs.mount('/three'), 'three.txt')).object).toBeDefined();
    expect(await smbOne('ls')).toContain('one.txt');
    expect(await smbTwo('ls')).toContain('NT_STATUS_');
    const target = { port: gateway.port('smb'), command: 'ls' };
    expect((await smbclient({ ...target, share: 'three' })).stdout).toContain('three.txt');
    expect((await smbclient({ ...target, share: 'two' })).text).toContain('NT_STATUS_BAD_NETWORK_NAME');
    await gateway.whenLogged((line) => line['msg'] === 'export closed' && line['export'] === 'two');

    configure({ one: { clients: ['192.0.2.0/24'] }, three: {} });
    await reload(gateway);
    expect(await status(nfs.getattr(one))).toBe(NfsStatus.ACCES);
    expect(await smbOne('ls')).toContain('NT_STATUS_');

    configure({ one: {}, three: {} });
    await reload(gateway);
    expect(await status(nfs.getattr(one))).toBe(NfsStatus.OK);
    expect((await smbclient({ ...target, share: 'one' })).stdout).toContain('one.txt');

    const connected = gateway.log.filter((line) => line['msg'] === 'connection ended by the gateway');
    expect(connected).toEqual([]);
    expect(gateway.errors()).toEqual([]);
  });

  it('replaces guests by users, and changes their passwords', async () => {
    const secret = join(folder, 'password');
    writeFileSync(secret, 'first\n');
    configure({ one: {} });
    const gateway = await serve();
    const target = { port: gateway.port('smb'), share: 'one', command: 'ls' };
    const guest = openSmbClient(gateway.port('smb'), 'one');
    expect(await guest('ls')).toContain('one.txt');

    configure({ one: { smb: { users: [{ name: 'media', passwordFile: secret }] } } });
    await reload(gateway);
    expect(await guest('ls')).toContain('NT_STATUS_');
    expect((await smbclient(target)).code).not.toBe(0);
    expect((await smbclient({ ...target, user: 'media%first' })).stdout).toContain('one.txt');

    writeFileSync(secret, 'second\n');
    await reload(gateway);
    expect((await smbclient({ ...target, user: 'media%first' })).text).toContain('NT_STATUS_LOGON_FAILURE');
    expect((await smbclient({ ...target, user: 'media%second' })).stdout).toContain('one.txt');
  });

  it('keeps the old configuration when the new one is refused', async () => {
    configure({ one: {} });
    const gateway = await serve();
    const nfs = await NfsClient.connect(gateway.port('nfs'));
    cleanUp.push(() => nfs.close());
    const one = await nfs.mount('/one');
    writeFileSync(file, 'exports: { one: { path: /not/there, expectFuze: true } }\n');
    const refused = await reload(gateway, 'the configuration is refused: the one before stays in force');
    expect(refused['reason']).toContain('expectFuze');
    expect(await status(nfs.getattr(one))).toBe(NfsStatus.OK);
  });

  it('logs the settings that cannot change in a running gateway, and changes the rest', async () => {
    configure({ one: {} }, { identity: 'a' });
    const gateway = await serve();
    configure(
      { one: {}, two: {} },
      { identity: 'b', smb: { signing: 'auto', encryption: 'off' }, log: { level: 'debug' } },
    );
    expect(await reload(gateway)).toMatchObject({ added: ['two'] });
    const warning = gateway.log.find(
      ({ msg }) => msg === 'settings that cannot change in a running gateway keep their values',
    );
    expect(warning?.['settings']).toEqual(['smb.encryption', 'identity']);
    const nfs = await NfsClient.connect(gateway.port('nfs'));
    nfs.close();
    await gateway.whenLogged(({ msg, protocol }) => msg === 'connected' && protocol === 'nfs');
  });

  it('finishes the requests of a removed export, and then closes its tree', async () => {
    const fuse = await FuseTree.start({ releases: 3 });
    cleanUp.push(() => fuse.dispose());
    const tree = { path: fuse.mountpoint, expectFuse: true };
    configure({ one: {}, tree });
    const gateway = await serve();
    const nfs = await NfsClient.connect(gateway.port('nfs'));
    cleanUp.push(() => nfs.close());
    const video = releasePath(1, 'video.mkv');
    const handle = await nfs.walk(await nfs.mount('/tree'), video);
    await fuse.hang(video, 'read');
    const reading = nfs.read(handle, 0, 65_536);
    await fuse.whenHeld();

    configure({ one: {} });
    await reload(gateway);
    expect(await status(nfs.getattr(handle))).toBe(NfsStatus.BADHANDLE);
    await fuse.heal();
    expect(firstDifference(contentSeed(video), 0, (await reading).data)).toBe(-1);
    await gateway.whenLogged((line) => line['msg'] === 'export closed');
    const metrics = await (await fetch(`http://127.0.0.1:${gateway.port('admin')}/metrics`)).text();
    expect(metrics).not.toContain('export="tree"');
    // Not a lazy unmount: it fails if the gateway has left a descriptor open.
    await expect
      .poll(() =>
        fuse.unmount().then(
          () => true,
          () => false,
        ),
      )
      .toBe(true);

    configure({ one: {}, tree });
    await fuse.mount();
    await reload(gateway);
    expect(firstDifference(contentSeed(video), 0, (await nfs.read(handle, 0, 65_536)).data)).toBe(-1);
  });

  it('works in run as well, and leaves the child alone', async () => {
    configure({ one: {} });
    const child = `process.on('SIGHUP', () => console.log('{"msg":"child got SIGHUP"}')); setInterval(() => {}, 1e6)`;
    const gateway = await start('run', '--config', file, ...local, '--', process.execPath, '-e', child);
    configure({ one: {}, two: {} });
    expect(await reload(gateway)).toMatchObject({ added: ['two'], kept: ['one'] });
    expect(gateway.log.some(({ msg }) => msg === 'child got SIGHUP')).toBe(false);
    expect(await gateway.stop()).toBe(143);
  });
});
