import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { beforeEach, describe, expect, it } from 'vitest';
import { MountTable, type Mount } from '../source/mount-table.ts';
import { Address } from './address.ts';
import { parseCredentials } from './credentials.ts';
import { Mounter, type MounterOptions, type Node } from './mounter.ts';
import { serveMounter } from './http.ts';
import { guardOrigin, MountNode } from './node.ts';
import { isShare, kernelMount, type KernelMount, type Share } from './options.ts';
import type { ProgramResult } from './program.ts';
import { metricsText } from './text.ts';

const share: Share = { protocol: 'nfs', name: 'dfs', port: 2049, options: [] };
const at = '/mnt/d/dfs';
const staging = '/run/staging';

const result = (outcome: ProgramResult['outcome'], gone = Promise.resolve()): ProgramResult => ({
  outcome,
  message: outcome === 'done' ? '' : 'Stale file handle',
  ms: 3,
  gone,
});

/** A node in memory. `answers`: the result of a probe, by the origin of the mount. */
class FakeNode implements Node {
  readonly stack: { origin: string; type: string; place: string; options: string }[] = [];
  readonly calls: string[] = [];
  answers: (origin: string) => ProgramResult = () => result('done');
  mountable = true;
  shared = true;
  host: boolean | undefined = true;

  table(): Promise<MountTable> {
    const flag = this.shared ? 'shared:1' : '';
    const lines = [`10 1 8:1 / / rw ${flag} - ext4 /dev/vda rw`];
    this.stack.forEach(({ origin, type, place, options }, index) => {
      const below = this.stack.slice(0, index).findLastIndex((one) => one.place === place);
      const parent = below < 0 ? 10 : 20 + below;
      lines.push(
        `${20 + index} ${parent} 0:${40 + index} / ${place} rw ${flag} - ${type} ${origin} ${options}`,
      );
    });
    return Promise.resolve(new MountTable(lines.join('\n').replaceAll('  ', ' ')));
  }
  hostHas = (_: Mount) => Promise.resolve(this.host);
  makeFolder = () => Promise.resolve();
  share(folder: string) {
    this.shared = true;
    return this.#did(`share ${folder}`);
  }
  guard(place: string) {
    this.stack.push({ origin: guardOrigin, type: 'fuse', place, options: 'ro' });
    return this.#did(`guard ${place}`);
  }
  mount({ origin, type, options }: KernelMount, place: string) {
    if (!this.mountable) return Promise.resolve(result('failed'));
    this.stack.push({ origin, type, place, options: options.join(',') });
    return this.#did(`mount ${origin}`);
  }
  bind(from: string, place: string) {
    this.stack.push({ ...this.#top(from), place });
    return this.#did(`bind ${place}`);
  }
  unmount = (place: string) => this.#remove(place, `unmount ${place}`);
  detach = (place: string, abort: boolean) => this.#remove(place, `detach ${place}${abort ? ' abort' : ''}`);
  probe = (place: string) => Promise.resolve(this.answers(this.#top(place).origin));
  setReadAhead = (_: Mount, kib: number) => this.#did(`read-ahead ${kib}`).then(() => undefined);

  origins = (place: string) => this.stack.filter((one) => one.place === place).map(({ origin }) => origin);
  #top = (place: string) => this.stack.findLast((one) => one.place === place)!;
  #remove(place: string, call: string) {
    this.stack.splice(
      this.stack.findLastIndex((one) => one.place === place),
      1,
    );
    return this.#did(call);
  }
  #did(call: string): Promise<ProgramResult> {
    this.calls.push(call);
    return Promise.resolve(result('done'));
  }
}

let node: FakeNode;
let addresses: string[] | undefined;
const log = pino({ level: 'silent' });
const resolve = () =>
  addresses ? Promise.resolve(addresses) : Promise.reject(new Error('getaddrinfo ENOTFOUND'));

beforeEach(() => {
  node = new FakeNode();
  addresses = ['10.0.0.1'];
});

const make = (more: Partial<MounterOptions> = {}, logger = log) =>
  new Mounter(
    { share, at, staging, probeTimeoutMs: 1000, guard: true, ...more },
    node,
    new Address('gateway', logger, resolve),
    logger,
  );
const looks = async (mounter: Mounter, count: number) => {
  for (let index = 0; index < count; index++) await mounter.look();
};

describe('a mounter', () => {
  it('tests the share in a private folder, and then shows it above a guard', async () => {
    const mounter = make({ readAhead: 4096 });
    await mounter.look();
    expect(node.calls).toEqual([
      `guard ${at}`,
      'mount 10.0.0.1:/dfs',
      `bind ${at}`,
      'read-ahead 4096',
      `detach ${staging}`,
    ]);
    expect([mounter.state, mounter.propagated, mounter.mounts.absent]).toEqual(['answering', true, 1]);
    node.calls.length = 0;
    await looks(mounter, 3);
    expect(node.calls).toEqual([]);
  });

  it('makes the folder above a shared mount if it is not one', async () => {
    node.shared = false;
    await make({ guard: false }).look();
    expect(node.calls[0]).toBe('share /mnt/d');
    expect(node.origins(at)).toEqual(['10.0.0.1:/dfs']);
  });

  it('takes over the mount of a predecessor', async () => {
    await make().look();
    node.calls.length = 0;
    const successor = make();
    await successor.look();
    expect([successor.state, node.calls]).toEqual(['answering', []]);
  });

  it('keeps a slow mount, and starts no second probe meanwhile', async () => {
    const mounter = make();
    await mounter.look();
    let answer: () => void = () => undefined;
    const gone = new Promise<void>((done) => (answer = done));
    let probes = 0;
    node.answers = () => (probes++, result('late', gone));
    node.calls.length = 0;
    await looks(mounter, 10);
    expect([mounter.state, probes, node.calls]).toEqual(['slow', 1, []]);
    expect(mounter.reason).toBe('no answer in 1 s');
    node.answers = () => result('done');
    answer();
    await gone;
    await mounter.look();
    expect(mounter.state).toBe('answering');
  });

  it('replaces a failing mount if a new one answers', async () => {
    const mounter = make();
    await mounter.look();
    const fresh = () => node.origins(staging).length > 0;
    node.answers = () => result(fresh() ? 'done' : 'failed');
    node.calls.length = 0;
    await looks(mounter, 2);
    expect([mounter.state, node.calls]).toEqual(['failing', []]);
    await mounter.look();
    expect(node.calls).toEqual([
      'mount 10.0.0.1:/dfs',
      `detach ${at} abort`,
      `bind ${at}`,
      `detach ${staging}`,
    ]);
    expect([mounter.state, mounter.mounts.dead]).toEqual(['answering', 1]);
    expect(node.origins(at)).toEqual([guardOrigin, '10.0.0.1:/dfs']);
  });

  it('keeps a failing mount while a new one fails too', async () => {
    const mounter = make();
    await mounter.look();
    node.answers = () => result('failed');
    await looks(mounter, 6);
    expect([mounter.state, mounter.mounts.dead, mounter.failures]).toEqual(['failing', 0, 4]);
    expect(node.calls).not.toContain(`detach ${at} abort`);
    expect(node.origins(staging)).toEqual([]);
  });

  it.each([
    ['gently while the old one answers', 'done', `detach ${at}`],
    ['by force when it does not', 'failed', `detach ${at} abort`],
  ] as const)('follows an address that moved, %s', async (_, old, call) => {
    const mounter = make();
    await mounter.look();
    addresses = ['10.0.0.2'];
    node.answers = (origin) => result(origin.startsWith('10.0.0.1') ? old : 'done');
    await mounter.look();
    expect(node.calls).not.toContain(call);
    await mounter.look();
    expect(node.calls).toContain(call);
    expect(node.origins(at)).toEqual([guardOrigin, '10.0.0.2:/dfs']);
    expect(mounter.mounts.moved).toBe(1);
  });

  it('keeps the mount while the name has no address, or several', async () => {
    const mounter = make();
    await mounter.look();
    node.calls.length = 0;
    addresses = undefined;
    await looks(mounter, 3);
    addresses = ['10.0.0.9', '10.0.0.1'];
    await looks(mounter, 3);
    expect([mounter.state, node.calls]).toEqual(['answering', []]);
  });

  it('retries if mounting fails, and leaves the guard in place', async () => {
    node.mountable = false;
    const mounter = make();
    await looks(mounter, 2);
    expect([mounter.state, mounter.failures, node.origins(at)]).toEqual(['absent', 2, [guardOrigin]]);
    node.mountable = true;
    await mounter.look();
    expect(mounter.state).toBe('answering');
  });

  it('does not touch a mount of another program at its place', async () => {
    node.stack.push({ origin: '10.0.0.1:/other', type: 'nfs', place: at, options: 'rw' });
    const mounter = make();
    await mounter.look();
    await mounter.end();
    expect([mounter.state, node.calls]).toEqual(['blocked', []]);
  });

  it('unmounts at the end', async () => {
    const mounter = make();
    await mounter.look();
    await mounter.end();
    expect(node.origins(at)).toEqual([guardOrigin]);
  });

  it('reports that the host does not see the mount', async () => {
    node.host = false;
    const warnings: string[] = [];
    const log = pino({ level: 'warn' }, { write: (line: string) => void warnings.push(line) });
    const mounter = make({}, log);
    await looks(mounter, 3);
    expect(mounter.propagated).toBe(false);
    expect(mounter.reason).toMatch(/^the host does not see the mount/);
    expect(warnings).toHaveLength(1);
    const facts = { version: '1', protocol: 'nfs', server: 'a"b', at };
    const text = metricsText(mounter, facts);
    expect(text).toContain('holdfast_mount_propagated 0\n');
    expect(text).toContain('holdfast_mount_state{state="answering"} 1\n');
    expect(text).toContain('server="a\\"b"');
    expect(text).toContain('holdfast_mount_mounts_total{reason="absent"} 1\n');
  });
});

describe('the pages of a mounter', () => {
  const facts = { version: '1', protocol: 'nfs', server: 'gateway', at };
  /** Asks with any Host header, which fetch() does not allow. */
  const ask = (port: number, path: string, { host = 'localhost', method = 'GET' } = {}) =>
    new Promise<{ status: number | undefined; body: string }>((done, fail) => {
      const asked = request({ host: '127.0.0.1', port, path, method, headers: { host } }, (response) => {
        let body = '';
        response.on('data', (chunk: Buffer) => (body += chunk.toString()));
        response.on('end', () => done({ status: response.statusCode, body }));
      });
      asked.on('error', fail).end();
    });

  it('say why the mount does not answer, and what there is to ask for', async () => {
    const mounter = make();
    const server = await serveMounter(mounter, facts, { host: '127.0.0.1', port: 0 });
    const { port } = server.address() as AddressInfo;
    const readiness = async () => {
      await mounter.look();
      const { status, body } = await ask(port, '/readyz');
      return { status, ...(JSON.parse(body) as object) };
    };
    try {
      addresses = undefined;
      expect(await readiness()).toMatchObject({
        status: 503,
        state: 'absent',
        reason: "cannot resolve the server's name: getaddrinfo ENOTFOUND",
      });
      addresses = ['10.0.0.1'];
      node.mountable = false;
      expect(await readiness()).toMatchObject({
        status: 503,
        reason: 'cannot mount: Stale file handle',
      });
      node.mountable = true;
      expect(await readiness()).toEqual({ status: 200, state: 'answering', seconds: 0, address: '10.0.0.1' });
      expect(await ask(port, '/')).toEqual({
        status: 404,
        body: 'no such page; there are /livez /readyz /metrics\n',
      });
      expect(await ask(port, '/livez', { host: 'evil.example' })).toEqual({
        status: 421,
        body: 'not the name of this server: use an address or localhost\n',
      });
      expect((await ask(port, '/livez', { method: 'POST' })).status).toBe(405);
    } finally {
      server.close();
      server.closeAllConnections();
    }
  });
});

describe.runIf(process.getuid?.() === 0)('a network namespace', () => {
  it('may be a bind mount, as ip netns makes it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'holdfast-netns-'));
    const file = join(folder, 'name');
    writeFileSync(file, '');
    execFileSync('mount', ['--bind', '/proc/self/ns/net', file]);
    try {
      expect(await MountNode.in(file)).toBeInstanceOf(MountNode);
    } finally {
      execFileSync('umount', [file]);
      rmSync(folder, { recursive: true });
    }
  });
});

describe('the arguments of mount(2)', () => {
  it('have the address, and the options of the user in place of the recommended ones', () => {
    const mount = kernelMount({ ...share, options: ['soft', 'rsize=131072', 'nconnect=8'] }, 'fd00::1');
    expect(mount.origin).toBe('[fd00::1]:/dfs');
    expect(mount.options).toEqual(
      expect.arrayContaining(['soft', 'nconnect=8', 'addr=fd00::1', 'mountvers=3']),
    );
    expect(mount.options).not.toContain('hard');
    expect(mount.options).not.toContain('nconnect=4');
  });

  it('contain no option that the kernel does not know', () => {
    const smb = { ...share, protocol: 'smb' as const };
    const known = (kernel: string) => kernelMount(smb, '10.0.0.1', kernel).options;
    expect(known('6.0.0')).toContain('closetimeo=30');
    expect(known('5.15.0-125-generic')).not.toContain('closetimeo=30');
    expect(known('5.15.0-125-generic')).toContain('iocharset=utf8');
    expect(kernelMount(share, '10.0.0.1', '5.3.0').options).toContain('nconnect=4');
    expect(kernelMount(share, '10.0.0.1', '4.18.0').options).not.toContain('nconnect=4');
    expect(kernelMount({ ...smb, options: ['closetimeo=5'] }, '10.0.0.1', '5.4.0').options).toContain(
      'closetimeo=5',
    );
  });

  it('name the user of an SMB share, or a guest', () => {
    const smb = { ...share, protocol: 'smb' as const, port: 445 };
    expect(kernelMount(smb, '10.0.0.1')).toMatchObject({ type: 'cifs', origin: '//10.0.0.1/dfs' });
    expect(kernelMount(smb, '10.0.0.1').options.slice(0, 2)).toEqual(['guest', 'username=guest']);
    const credentials = parseCredentials('# x\nusername = media\npassword=a b=c\r\n');
    expect(kernelMount({ ...smb, credentials }, '10.0.0.1').options.slice(0, 2)).toEqual([
      'username=media',
      'password=a b=c',
    ]);
    expect(() => parseCredentials('username=media\n')).toThrow('password=WORD');
    expect(() => parseCredentials('username=media\npassword=a,b\n')).toThrow('comma');
  });

  it('are recognised in the mount table', () => {
    const smb = { ...share, protocol: 'smb' as const };
    expect(isShare(share, { type: 'nfs', origin: '10.0.0.9:/dfs' })).toBe(true);
    expect(isShare(share, { type: 'nfs', origin: '10.0.0.9:/x/dfs' })).toBe(false);
    expect(isShare(smb, { type: 'cifs', origin: '//10.0.0.9/dfs' })).toBe(true);
    expect(isShare(smb, { type: 'cifs', origin: '//10.0.0.9/dfs/sub' })).toBe(false);
    expect(isShare(smb, { type: 'nfs', origin: '//10.0.0.9/dfs' })).toBe(false);
  });
});
