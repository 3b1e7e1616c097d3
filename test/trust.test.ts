/** Access control: mode bits over both protocols, forged handles, addresses, and passwords. */
import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { NfsStatus } from '../protocols/nfs-rpc/src/status.ts';
import { encodeHandle, type HandleSource } from '../src/tree/handle.ts';
import { Identity } from '../src/tree/identity.ts';
import { Gateway } from './kit/gateway.ts';
import { NfsClient, NfsFailure } from './kit/nfs.ts';

const run = promisify(execFile);

let folder: string;
const cleanUp: (() => unknown)[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-trust-'));
  chmodSync(folder, 0o755);
  const tree = join(folder, 'tree');
  mkdirSync(join(tree, 'closed'), { recursive: true });
  mkdirSync(join(tree, 'listed'));
  writeFileSync(join(tree, 'open'), 'for all');
  writeFileSync(join(tree, 'key'), 'secret', { mode: 0o600 });
  writeFileSync(join(tree, 'closed', 'inside'), 'secret');
  writeFileSync(join(tree, 'listed', 'inside'), 'secret');
  chmodSync(join(tree, 'closed'), 0o700);
  chmodSync(join(tree, 'listed'), 0o744);
});
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
  rmSync(folder, { recursive: true });
});

/** Serves the tree as export dfs. */
async function serve(options = '', rest = ''): Promise<Gateway> {
  const config = join(folder, 'config.yaml');
  const hosts = 'admin: { listen: "127.0.0.1:0", hosts: [gateway.example] }\n';
  const listen = `nfs: { listen: "127.0.0.1:0" }\nsmb: { listen: "127.0.0.1:0" }\n${hosts}`;
  const entry = `exports: { dfs: { path: ${join(folder, 'tree')}, expectFuse: false, ${options} } }\n`;
  writeFileSync(config, `${entry}${listen}${rest}`);
  const protocols = ['nfs', 'smb', 'admin'];
  const gateway = await Gateway.start({ args: ['serve', '--config', config], protocols });
  cleanUp.push(() => gateway.stop());
  return gateway;
}

async function nfs(gateway: Gateway, uid = 1000): Promise<NfsClient> {
  const client = await NfsClient.connect(gateway.port('nfs'), 20_000, uid);
  cleanUp.push(() => client.close());
  return client;
}

const status = (promise: Promise<unknown>) =>
  promise.then(
    () => NfsStatus.OK,
    (error: unknown) => (error instanceof NfsFailure ? error.status : error),
  );

/** The output of smbclient, whatever its exit code. */
async function smb(gateway: Gateway, command: string, user: readonly string[] = ['-N']): Promise<string> {
  const args = ['//127.0.0.1/dfs', '-p', String(gateway.port('smb')), ...user, '-c', command];
  return await run('smbclient', args).then(
    ({ stdout, stderr }) => stdout + stderr,
    (error: unknown) => {
      const { stdout, stderr } = error as { stdout: string; stderr: string };
      return stdout + stderr;
    },
  );
}

describe('mode bits and owners', () => {
  const get = async (gateway: Gateway, name: string, user?: readonly string[]) => {
    const target = join(folder, 'got');
    rmSync(target, { force: true });
    writeFileSync(target, '');
    await smb(gateway, `get ${name} ${target}`, user);
    return readFileSync(target, 'utf8');
  };

  it('hold for a guest, who acts as nobody', async () => {
    const gateway = await serve();
    expect(await get(gateway, 'open')).toBe('for all');
    expect(await get(gateway, 'key')).toBe('');
    expect(await get(gateway, 'closed\\inside')).toBe('');
    expect(await smb(gateway, 'ls closed\\*')).toMatch(/^NT_STATUS_\w+ listing/m);
    expect(await smb(gateway, `get key ${join(folder, 'got')}`)).toContain('NT_STATUS_ACCESS_DENIED opening');
    expect(await smb(gateway, 'allinfo key')).toContain('write_time');
    expect(await smb(gateway, 'ls')).toContain('closed');
    expect(await smb(gateway, 'ls listed\\*')).toContain('inside');
    expect(await get(gateway, 'listed\\inside')).toBe('');
  });

  it('hold for the ids that guests act as', async () => {
    const gateway = await serve('uid: 0, gid: 0');
    expect(await get(gateway, 'key')).toBe('secret');
    expect(await get(gateway, 'closed\\inside')).toBe('secret');
  });

  it('hold for each user', async () => {
    writeFileSync(join(folder, 'password'), 'password');
    const users = '[{ name: a, passwordFile: password, uid: 0 }, { name: b, passwordFile: password }]';
    const gateway = await serve(`smb: { users: ${users} }`);
    expect(await get(gateway, 'key', ['-U', 'a%password'])).toBe('secret');
    expect(await get(gateway, 'key', ['-U', 'b%password'])).toBe('');
    expect(await get(gateway, 'open', ['-U', 'b%password'])).toBe('for all');
  });

  it('hold for the path of a mount, and for what a listing shows by NFS', async () => {
    const client = await nfs(await serve());
    expect(await status(client.mount('/dfs/closed'))).toBe(NfsStatus.OK);
    mkdirSync(join(folder, 'tree', 'closed', 'below'));
    expect(await status(client.mount('/dfs/closed/below'))).toBe(NfsStatus.ACCES);
    const root = await client.mount('/dfs');
    const listed = (await client.lookup(root, 'listed')).object;
    const { entries } = await client.readdirplus(listed);
    const inside = entries.find(({ name }) => name === 'inside');
    expect([inside?.attributes, inside?.handle]).toEqual([undefined, undefined]);
    expect(await status(client.lookup(listed, 'inside'))).toBe(NfsStatus.ACCES);
  });
});

/** Computes the handle of a path from the seed alone. */
function forge(seed: string, ...names: string[]): Buffer {
  const identity = new Identity(seed, 'dfs');
  let path = '';
  let node: HandleSource = {
    parent: undefined,
    depth: 0,
    pathHash: identity.pathHash(''),
    nameHash: identity.nameHash(''),
  };
  for (const name of names) {
    path += `/${name}`;
    const [pathHash, nameHash] = [identity.pathHash(path), identity.nameHash(name)];
    node = { parent: node, depth: node.depth + 1, pathHash, nameHash };
  }
  return encodeHandle(identity, node);
}

describe('forged handles', () => {
  it.each([
    ['the default', 'holdfast', ''],
    ['an identity that is known', 'my-cluster', 'identity: my-cluster\n'],
  ])('with %s lead no further than the path does', async (_, seed, rest) => {
    const gateway = await serve('nfs: { squash: none }', rest);
    const handle = forge(seed, 'closed', 'inside');
    const stranger = await nfs(gateway);
    expect(await status(stranger.getattr(handle))).toBe(NfsStatus.ACCES);
    expect(await status(stranger.read(handle, 0, 10))).toBe(NfsStatus.ACCES);
    // Still refused after the owner has read the file.
    const owner = await nfs(gateway, 0);
    expect((await owner.read(handle, 0, 10)).data.toString()).toBe('secret');
    expect(await status(stranger.read(handle, 0, 10))).toBe(NfsStatus.ACCES);
    expect((await stranger.read(forge(seed, 'open'), 0, 10)).data.toString()).toBe('for all');
  });

  it('are refused with a secret in the state folder, and real handles survive a restart', async () => {
    const rest = `state: ${join(folder, 'state')}\n`;
    const first = await serve('', rest);
    const client = await nfs(first);
    expect(await status(client.getattr(forge('holdfast', 'open')))).toBe(NfsStatus.BADHANDLE);
    const open = (await client.lookup(await client.mount('/dfs'), 'open')).object;
    await first.stop();
    const again = await nfs(await serve('', rest));
    expect((await again.read(open, 0, 10)).data.toString()).toBe('for all');
  });

  it('are refused with a configured secret, which two gateways may share', async () => {
    writeFileSync(join(folder, 'secret'), 'sixteen letters or more');
    const first = await nfs(await serve('', 'secretFile: secret\n'));
    expect(await status(first.getattr(forge('holdfast', 'open')))).toBe(NfsStatus.BADHANDLE);
    const open = (await first.lookup(await first.mount('/dfs'), 'open')).object;
    const second = await nfs(await serve('', 'secretFile: secret\n'));
    expect((await second.read(open, 0, 10)).data.toString()).toBe('for all');
  });
});

describe('addresses that no export allows', () => {
  it.each(['nfs', 'smb'] as const)('do not count towards the connection limit: %s', async (protocol) => {
    const gateway = await serve('clients: [127.0.0.1]');
    const port = gateway.port(protocol);
    const sockets: Socket[] = [];
    cleanUp.push(() => {
      for (const socket of sockets) socket.destroy();
    });
    // More connections than the limits in total and for each address allow; each batch fits into the accept queue.
    for (let batch = 0; batch < 12; batch++) {
      const ended = Array.from({ length: 128 }, () => {
        const socket = connect({ port, host: '127.0.0.1', localAddress: `127.0.0.${2 + batch}` });
        sockets.push(socket);
        socket.on('error', () => undefined);
        return new Promise((resolve) => socket.once('close', resolve));
      });
      await Promise.all(ended);
    }
    if (protocol === 'nfs') expect(await (await nfs(gateway)).mount('/dfs')).toBeDefined();
    else expect(await smb(gateway, 'ls')).toContain('open');
    const metrics = await (await fetch(`http://127.0.0.1:${gateway.port('admin')}/metrics`)).text();
    expect(metrics).toContain(`holdfast_connections_refused_total{protocol="${protocol}"} 1536`);
    const lines = gateway.log.filter(({ msg }) => String(msg).includes('no export allows this address'));
    expect(lines.length).toBeLessThanOrEqual(40);
  });
});

describe('the admin port', () => {
  it('refuses requests for a host name that is not its own', async () => {
    const port = (await serve()).port('admin');
    const status = (host: string) =>
      new Promise((resolve, reject) => {
        const asked = get({ host: '127.0.0.1', port, path: '/readyz', headers: { host } });
        asked.on('response', (response) => resolve(response.resume().statusCode));
        asked.on('error', reject);
      });
    expect(await status('127.0.0.1')).toBe(200);
    expect(await status('gateway.example')).toBe(200);
    expect(await status('attacker.example')).toBe(421);
  });
});

describe('run', () => {
  it('gives its child no password of the gateway', async () => {
    const config = join(folder, 'config.yaml');
    const user = 'smb: { users: [{ name: media, passwordEnv: MEDIA_PASSWORD }] }';
    const listen = ['nfs', 'smb', 'admin'].map((what) => `${what}: { listen: "127.0.0.1:0" }\n`).join('');
    writeFileSync(
      config,
      `exports: { dfs: { path: ${join(folder, 'tree')}, expectFuse: false, ${user} } }\n${listen}secretEnv: KEY\n`,
    );
    const seen = join(folder, 'seen');
    const command = ['sh', '-c', `env > ${seen}.new; mv ${seen}.new ${seen}; exec sleep 60`];
    const gateway = await Gateway.start({
      args: ['run', '--config', config, '--', ...command],
      env: { MEDIA_PASSWORD: 'hunter2', KEY: 'sixteen letters or more', PLAIN: 'yes' },
    });
    cleanUp.push(() => gateway.stop());
    await expect.poll(() => readFileSync(seen, 'utf8')).toContain('PLAIN=yes');
    expect(readFileSync(seen, 'utf8')).not.toMatch(/hunter2|sixteen|MEDIA_PASSWORD|KEY/);
    expect(await smb(gateway, 'ls', ['-U', 'media%hunter2'])).toContain('open');
  });
});
