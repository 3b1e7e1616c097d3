import { expect, it } from 'vitest';
import { loadConfig } from '../config/index.ts';
import { clientFindings, gatewayFindings, type Finding, type Machine } from './index.ts';

interface Planted {
  readonly files?: Readonly<Record<string, string>>;
  readonly links?: Readonly<Record<string, string>>;
  readonly taken?: Readonly<Record<number, string>>;
  readonly closed?: readonly number[];
  /** A name that has no address. */
  readonly unknown?: string;
  readonly clock?: number;
  readonly uid?: number;
  readonly pool?: string;
  readonly card?: string;
}

function machine(planted: Planted): Machine {
  const { files = {}, links = {}, taken = {}, closed = [], uid = 0, pool = '512', card = 'eth0' } = planted;
  return {
    uid,
    env: { UV_THREADPOOL_SIZE: pool },
    read: (path) => Promise.resolve(files[path]),
    link: (path) => Promise.resolve(links[path]),
    mode: (path) => Promise.resolve(path in files ? 0o666 : undefined),
    mayUse: (path) => Promise.resolve(path in files),
    reach: (host, port) =>
      host === planted.unknown
        ? Promise.reject(Object.assign(new Error(`getaddrinfo ENOTFOUND ${host}`), { code: 'ENOTFOUND' }))
        : closed.includes(port)
          ? Promise.reject(new Error(`connect ECONNREFUSED ${host}:${port}`))
          : Promise.resolve({ ms: 0.5, localAddress: '10.0.0.2' }),
    tryPort: (_, port) => Promise.resolve(taken[port]),
    cardOf: () => card,
    clockOf: () => Promise.resolve(planted.clock),
  };
}

const mountinfo = (...lines: string[]) =>
  `${['1 0 8:1 / / rw shared:1 - ext4 /dev/sda1 rw', ...lines].join('\n')}\n`;
const nfs = (options: string, tag = 'shared:2') =>
  `2 1 0:50 / /mnt/dfs rw ${tag} - nfs gw:/dfs ro,vers=3,addr=10.0.0.1,port=2049,${options}`;
const cifs = (options: string, tag = 'shared:2') =>
  `3 1 0:51 / /mnt/media\\040files rw ${tag} - cifs //gw/dfs ro,vers=3.1.1,addr=10.0.0.1,port=445,${options}`;
const goodNfs = nfs('hard,nconnect=4,acdirmin=1,acdirmax=5');
const goodCifs = cifs('hard,echo_interval=10,actimeo=5,closetimeo=30');
const readAhead = { '/sys/class/bdi/0:50/read_ahead_kb': '1024\n' };
const kernel = (release: string) => ({ '/proc/sys/kernel/osrelease': `${release}\n` });
const ports = { nfs: 2049, smb: 445, admin: 9445 };

const client = (planted: Planted, server?: { host: string; port?: number }) =>
  clientFindings(machine(planted), { server, ports });
const bad = (findings: readonly Finding[]) => findings.filter(({ level }) => level !== 'ok');
const withMount = (...lines: string[]) => ({
  files: { ...kernel('6.9.1'), ...readAhead, '/proc/self/mountinfo': mountinfo(...lines) },
});

it('finds no problem on a well-configured client', async () => {
  const findings = await client({ ...withMount(goodNfs, goodCifs), clock: Date.now() });
  expect(bad(findings)).toEqual([]);
  expect(findings.map(({ what }) => what).join('\n')).toMatch(/\/mnt\/dfs: NFS 3, hard, 1024 KiB ahead/);
});

it.each<[string, Planted, string, RegExp]>([
  ['a soft NFS mount', withMount(nfs('soft,nconnect=4,acdirmin=1')), 'problem', /\/mnt\/dfs is mounted soft/],
  [
    'NFSv4',
    withMount(nfs('hard,nconnect=4,acdirmin=1').replace('vers=3', 'vers=4.2')),
    'problem',
    /by NFSv4/,
  ],
  ['slow folders', withMount(nfs('hard,nconnect=4')), 'warning', /attributes of folders for 30 s/],
  ['one connection', withMount(nfs('hard,acdirmin=1')), 'warning', /uses one connection/],
  [
    'little read-ahead',
    { files: { ...withMount(goodNfs).files, '/sys/class/bdi/0:50/read_ahead_kb': '128' } },
    'warning',
    /reads ahead 128 KiB/,
  ],
  [
    'a cifs mount without hard',
    withMount(cifs('echo_interval=10,actimeo=5')),
    'problem',
    /\/mnt\/media files is mounted soft/,
  ],
  ['a long echo interval', withMount(cifs('hard,actimeo=5')), 'warning', /asks every 60 s/],
  [
    'a long actimeo',
    withMount(cifs('hard,echo_interval=10,actimeo=60')),
    'warning',
    /keeps attributes for 60 s/,
  ],
  ['a long closetimeo', withMount(cifs('hard,echo_interval=10,closetimeo=300')), 'warning', /open for 300 s/],
  ['SMB1', withMount(cifs('hard,echo_interval=10').replace('vers=3.1.1', 'vers=1.0')), 'problem', /by SMB1/],
  ['a private mount', withMount(nfs('hard,nconnect=4,acdirmin=1', '')), 'warning', /is a private mount/],
  ['no mount', withMount(), 'warning', /nothing is mounted here/],
  [
    'a closed port',
    { ...withMount(goodNfs), closed: [2049] },
    'problem',
    /does not accept connections at port 2049/,
  ],
  [
    'a clock that is wrong',
    { ...withMount(goodNfs), clock: Date.now() - 60_000 },
    'warning',
    /differ by 60 s/,
  ],
  [
    'another network namespace',
    { ...withMount(goodCifs), links: { '/proc/self/ns/net': 'net:[2]', '/proc/1/ns/net': 'net:[1]' } },
    'warning',
    /not the network namespace/,
  ],
  [
    'a kernel whose cifs loses reads',
    { files: { ...withMount(goodCifs).files, ...kernel('6.12.3-amd64') } },
    'warning',
    /fails the reads in flight/,
  ],
  [
    'a kernel whose cifs loses listings',
    { files: { ...withMount(goodCifs).files, ...kernel('6.1.0-40') } },
    'warning',
    /rest of a listing/,
  ],
  [
    'jumbo frames',
    { files: { ...withMount(goodNfs).files, '/sys/class/net/eth0/mtu': '9000' } },
    'warning',
    /MTU of 9000/,
  ],
])('finds %s', async (_, planted, level, what) => {
  const findings = bad(await client(planted));
  expect(findings).toHaveLength(1);
  const [found] = findings;
  expect(found).toMatchObject({ level, what: expect.stringMatching(what) as string });
  expect(found!.why).toBeTruthy();
  expect(found!.fix).toBeTruthy();
});

it('checks the connection to a gateway that is not mounted yet', async () => {
  const findings = bad(await client({ ...withMount(goodNfs), closed: [445] }, { host: 'gw.example' }));
  expect(findings.map(({ what }) => what)).toEqual([
    'gw.example does not accept connections at port 445 (connect ECONNREFUSED gw.example:445)',
  ]);
});

it('checks the one port that the server is given with', async () => {
  const findings = await client({ ...withMount(goodNfs), closed: [2049, 445] }, { host: 'gw', port: 12049 });
  expect(findings.filter(({ what }) => what.startsWith('gw ')).map(({ what }) => what)).toEqual([
    'gw accepts connections at port 12049, after 0.5 ms',
  ]);
});

it('says once that a name has no address', async () => {
  const findings = bad(await client({ ...withMount(goodNfs), unknown: 'gateway' }, { host: 'gateway' }));
  expect(findings.map(({ what }) => what)).toEqual(['the name gateway has no address (ENOTFOUND)']);
});

it('quotes a path with a space in the command that fixes a problem', async () => {
  const [found] = bad(await client(withMount(cifs('echo_interval=10,actimeo=5'))));
  expect(found!.fix).toBe("mount -o remount,hard '/mnt/media files'");
});

// -- On the gateway's machine --------------------------------------------------------------------------------------------

const fuse = (options: string) => `4 1 0:60 / /mnt/dfs ro shared:3 - fuse.rclone dfs ro,user_id=0${options}`;
const limits = (files: string, processes: string) =>
  `Limit                     Soft Limit           Hard Limit           Units\nMax processes             ${processes}   1   processes\nMax open files            ${files}   1   files\n`;
const config = (text = {}) => ({
  ...loadConfig({
    flags: { path: '/mnt/dfs' },
    env: { HOLDFAST_IDENTITY: 'x' },
    elsewhere: true,
    root: true,
  }),
  secret: { reveal: () => 'x' } as never,
  ...text,
});
const gatewayFiles = {
  '/dev/fuse': '',
  '/proc/self/mountinfo': mountinfo(fuse(',allow_other')),
  '/proc/self/limits': limits('65536', 'unlimited'),
  '/proc/meminfo': 'MemTotal:        8000000 kB\n',
  '/sys/fs/fuse/connections/60/max_background': '64\n',
};
const beside = (planted: Planted, settings = {}) => {
  const whole = { ...planted, files: { ...gatewayFiles, ...planted.files } };
  const withUsers = config(settings);
  const exports = withUsers.exports.map((one) => ({ ...one, smb: { ...one.smb, guest: false } }));
  return gatewayFindings(machine(whole), { config: { ...withUsers, exports }, isRunning: false });
};

it('finds no problem on the machine of a well-configured gateway', async () => {
  expect(bad(await beside({}))).toEqual([]);
});

it('thinks of plain folders where nothing is mounted', async () => {
  const [found] = bad(await beside({ files: { '/proc/self/mountinfo': mountinfo() } }));
  expect(found!.fix).toContain('a plain folder: expectFuse: false');
});

it.each<[string, Planted, object, RegExp]>([
  [
    'a mount without allow_other',
    { uid: 1000, files: { '/proc/self/mountinfo': mountinfo(fuse('')) } },
    {},
    /made by user 0 without allow_other/,
  ],
  ['no mount', { files: { '/proc/self/mountinfo': mountinfo() } }, {}, /no FUSE filesystem is mounted/],
  [
    'no mount in a container that sees no new ones',
    {
      files: {
        '/.dockerenv': '',
        '/proc/self/mountinfo': mountinfo('5 1 8:1 /m /mnt rw - ext4 /dev/sda1 rw'),
      },
    },
    {},
    /and \/mnt is private/,
  ],
  [
    'few background reads',
    { files: { '/sys/fs/fuse/connections/60/max_background': '12' } },
    {},
    /12 direct or background reads/,
  ],
  [
    'few descriptors',
    { files: { '/proc/self/limits': limits('1024', 'unlimited') } },
    {},
    /1024 descriptors may be open/,
  ],
  ['few threads', { files: { '/sys/fs/cgroup/pids.max': '100\n' } }, {}, /100 threads are allowed/],
  ['a small pool', { pool: '4' }, {}, /pool has 4 threads/],
  ['a port that is taken', { taken: { 2049: 'EADDRINUSE' } }, {}, /nothing can listen at 0.0.0.0:2049/],
  ['a port that is not allowed', { taken: { 445: 'EACCES' } }, {}, /may not listen at port 445/],
  ['little memory', { files: { '/sys/fs/cgroup/memory.max': '134217728\n' } }, {}, /128 MiB of memory/],
  ['no secret', {}, { secret: undefined, ownIdentity: false }, /neither a secret/],
  ['no more than an identity', {}, { secret: undefined, ownIdentity: true }, /`identity` alone/],
])('finds %s beside the gateway', async (_, planted, settings, what) => {
  const findings = bad(await beside(planted, settings));
  expect(findings.map((one) => one.what)).toEqual([expect.stringMatching(what) as string]);
  expect([findings[0]!.why, findings[0]!.fix].every((text) => text !== undefined && text !== '')).toBe(true);
});
