/** Checks the machine or container of a gateway: FUSE, mounts, limits, ports, memory, and gaps in the configuration. */
import { dirname } from 'node:path';
import type { Config, ExportConfig } from '../config/index.ts';
import { shellWord } from '../mounter/options.ts';
import { isFuse, MountTable } from '../source/mount-table.ts';
import { ok, problem, warning, type Finding } from './finding.ts';
import type { Machine } from './machine.ts';
import { optionsOf } from './mounts.ts';

/** Descriptors that may be needed: for each export 256 files and some hundred folders, and for connections of both protocols. */
const descriptorsFor = (exports: number): number => 4096 + 1024 * exports;
/** Threads that may be needed: libuv's pool (deploy/launcher.mjs) and Node's own. */
const threads = 512 + 32;
/** Most bytes of memory besides the cache: for requests, replies and the metadata of 400,000 objects. */
const program = 512 * 1024 * 1024;

export interface GatewayQuestion {
  readonly config: Config;
  /** Whether a gateway with this configuration is running: then it uses the ports itself. */
  readonly isRunning: boolean;
}

export async function gatewayFindings(
  machine: Machine,
  { config, isRunning }: GatewayQuestion,
): Promise<Finding[]> {
  const mounts = new MountTable((await machine.read('/proc/self/mountinfo')) ?? '');
  const findings: Finding[] = [];
  if (config.exports.some(({ expectFuse }) => expectFuse)) findings.push(...(await deviceFindings(machine)));
  for (const one of config.exports) findings.push(...(await mountFindings(machine, mounts, one)));
  findings.push(...(await limitFindings(machine, config.exports.length)));
  if (isRunning) findings.push(ok('a gateway with this configuration is running'));
  else findings.push(...(await portFindings(machine, config)));
  findings.push(...(await memoryFindings(machine, config.cache.memory)));
  findings.push(...identityFindings(config), ...guestFindings(config), ...adminFindings(config));
  return findings;
}

async function deviceFindings(machine: Machine): Promise<Finding[]> {
  if ((await machine.mode('/dev/fuse')) === undefined)
    return [
      warning(
        '/dev/fuse is missing',
        'no FUSE daemon can mount here. A gateway that only serves a mount of the host does not need it',
        'modprobe fuse   # in a container: --device /dev/fuse --cap-add SYS_ADMIN',
      ),
    ];
  if (!(await machine.mayUse('/dev/fuse')))
    return [
      warning(
        'this user may not open /dev/fuse',
        'a daemon of this user cannot mount',
        'chmod 0666 /dev/fuse   # as root',
      ),
    ];
  return [ok('/dev/fuse can be used')];
}

async function mountFindings(
  machine: Machine,
  mounts: MountTable,
  { name, path, expectFuse }: ExportConfig,
): Promise<Finding[]> {
  if (!expectFuse) return [ok(`export ${name}: ${path} is served as a plain folder`)];
  const mount = mounts.at(path);
  if (!mount || !isFuse(mount.type)) return [await absentFinding(machine, mounts, name, path)];
  const findings: Finding[] = [];
  const options = optionsOf(mount);
  const owner = Number(options.get('user_id') ?? 0);
  if (!options.has('allow_other') && owner !== machine.uid)
    findings.push(
      problem(
        `export ${name}: the mount at ${path} was made by user ${owner} without allow_other`,
        `the gateway's user ${machine.uid} may not read it`,
        `mount it with -o allow_other   # and for users other than root: echo user_allow_other >> /etc/fuse.conf`,
      ),
    );
  const [, minor = ''] = mount.bdi.split(':');
  const connection = `/sys/fs/fuse/connections/${minor}`;
  const background = Number((await machine.read(`${connection}/max_background`)) ?? NaN);
  if (background <= 12)
    findings.push(
      warning(
        `export ${name}: the kernel lets the daemon at ${path} have ${background} direct or background reads at a time`,
        'if that many hang, all reads of the mount wait, also those of local readers',
        `echo 64 > ${connection}/max_background`,
      ),
    );
  return findings.length > 0 ? findings : [ok(`export ${name}: ${mount.type} is mounted at ${path}`)];
}

async function absentFinding(
  machine: Machine,
  mounts: MountTable,
  name: string,
  path: string,
): Promise<Finding> {
  const what = `export ${name}: no FUSE filesystem is mounted at ${path}`;
  const why = 'clients wait; they never see the folder underneath';
  const place = mounts.at(path);
  const isShared = place !== undefined && (place.shared || place.slave);
  // A separate mount namespace gets new mounts only by propagation.
  const [own, first] = await Promise.all([machine.link('/proc/self/ns/mnt'), machine.link('/proc/1/ns/mnt')]);
  const isContainer =
    place?.mountpoint !== '/' &&
    !isShared &&
    (own !== first || (await machine.read('/.dockerenv')) !== undefined);
  return isContainer
    ? problem(
        `${what}, and ${place?.mountpoint ?? '/'} is private`,
        `${why}. A mount made outside of this container is not visible in it`,
        `docker run -v ${dirname(path)}:${dirname(path)}:rslave …   # Kubernetes: mountPropagation: HostToContainer`,
      )
    : problem(
        what,
        why,
        `grep ${shellWord(path)} /proc/self/mountinfo   # then start the daemon that mounts there; a plain folder: expectFuse: false`,
      );
}

/** A soft limit from /proc/self/limits; Infinity for `unlimited`, NaN if it is missing. */
function softLimit(limits: string | undefined, name: string): number {
  const [, value] = new RegExp(`^${name}\\s+(\\S+)`, 'm').exec(limits ?? '') ?? [];
  return value === undefined ? NaN : value === 'unlimited' ? Infinity : Number(value);
}

async function limitFindings(machine: Machine, exports: number): Promise<Finding[]> {
  const limits = await machine.read('/proc/self/limits');
  const findings: Finding[] = [];
  const files = softLimit(limits, 'Max open files');
  const wanted = descriptorsFor(exports);
  if (files < wanted)
    findings.push(
      problem(
        `${files} descriptors may be open, and ${wanted} can be needed`,
        'with many clients, connections and files are refused',
        `ulimit -n ${wanted}   # docker: --ulimit nofile=${wanted}; systemd: LimitNOFILE=${wanted}`,
      ),
    );
  const pids = Number((await machine.read('/sys/fs/cgroup/pids.max')) ?? NaN);
  const processes = Math.min(softLimit(limits, 'Max processes'), Number.isNaN(pids) ? Infinity : pids);
  if (processes < threads)
    findings.push(
      problem(
        `${processes} threads are allowed, and the gateway has up to ${threads}`,
        'hung calls may then take all threads, so that other calls wait, or the process ends',
        `docker run --pids-limit ${threads * 2} …   # systemd: TasksMax=${threads * 2}; ulimit -u`,
      ),
    );
  const pool = Number(machine.env.UV_THREADPOOL_SIZE ?? 4);
  if (pool < 512)
    findings.push(
      problem(
        `libuv's pool has ${pool} threads`,
        'this many hung files stop everything',
        'start dist/main.js, which sets the size of the pool, not a module below it',
      ),
    );
  return findings.length > 0 ? findings : [ok(`limits: ${files} descriptors, ${pool} threads in the pool`)];
}

async function portFindings(machine: Machine, { nfs, smb, admin }: Config): Promise<Finding[]> {
  const wanted = [
    { name: 'NFS', ...nfs.listen },
    { name: 'SMB', ...smb.listen },
    { name: 'admin', ...admin.listen },
    ...(nfs.portmap === true ? [{ name: 'portmap', host: nfs.listen.host, port: 111 }] : []),
  ].filter(({ port }) => port !== 0);
  const results = await Promise.all(
    wanted.map(async (one) => ({ ...one, code: await machine.tryPort(one.host, one.port) })),
  );
  return results.map(({ name, host, port, code }) => {
    if (code === undefined) return ok(`${name}: port ${port} is free`);
    if (code === 'EACCES')
      return problem(
        `${name}: this user may not listen at port ${port}`,
        'the gateway does not start',
        `setcap cap_net_bind_service=+ep "$(readlink -f "$(command -v node)")"   # or a port above 1023`,
      );
    return problem(
      `${name}: nothing can listen at ${host}:${port} (${code})`,
      'the gateway does not start',
      `ss -ltnp 'sport = :${port}'   # shows the program that uses it: smbd, nfsd, rpcbind or another gateway`,
    );
  });
}

async function memoryFindings(machine: Machine, cache: number): Promise<Finding[]> {
  const allowed = Number((await machine.read('/sys/fs/cgroup/memory.max')) ?? NaN);
  const total =
    Number(/^MemTotal:\s+(\d+) kB/m.exec((await machine.read('/proc/meminfo')) ?? '')?.[1] ?? NaN) * 1024;
  const memory = Math.min(Number.isNaN(allowed) ? Infinity : allowed, Number.isNaN(total) ? Infinity : total);
  const mega = (bytes: number) => `${Math.round(bytes / 1024 / 1024)} MiB`;
  const wanted = program + cache;
  if (memory >= wanted) return [ok(`memory: ${mega(memory)}, of which ${mega(cache)} are for the cache`)];
  const limit = Math.ceil(wanted / 1024 / 1024);
  return [
    problem(
      `${mega(memory)} of memory, and the gateway may need ${mega(wanted)}, ${mega(cache)} of it for its cache`,
      'the kernel may kill the gateway under load, and then cifs clients get errors',
      `resources: { limits: { memory: ${limit}Mi } }   # docker: --memory ${limit}m; or a smaller cache: { memory: 64MiB }`,
    ),
  ];
}

function identityFindings({ secret, ownIdentity, state }: Config): Finding[] {
  if (secret) return [ok('handles are made with a secret')];
  const fix = `(umask 077; openssl rand -hex 32 > /run/secrets/holdfast)   # and secretFile: /run/secrets/holdfast`;
  if (ownIdentity)
    return [
      warning(
        'handles are made with `identity` alone',
        'anyone who knows it can make handles, so each NFS call must also check the folders above the file',
        fix,
      ),
    ];
  if (state !== undefined)
    return [ok('handles are made with the secret in `state`; another gateway needs that file')];
  return [
    problem(
      'there is neither a secret, nor `identity`, nor `state`',
      'anyone can make handles of this gateway; and a gateway that replaces it would need the same identity',
      fix,
    ),
  ];
}

function guestFindings({ exports }: Config): Finding[] {
  const guests = exports.filter(({ smb }) => smb.guest);
  if (guests.length === 0) return [];
  return [
    warning(
      `guests may read ${guests.map(({ name }) => name).join(', ')} by SMB`,
      'Windows 11 24H2 and Windows Server 2025 refuse guests; guests can neither sign nor encrypt',
      'smb: { users: [{ name: media, passwordFile: /run/secrets/media-password }] }',
    ),
  ];
}

function adminFindings({ admin }: Config): Finding[] {
  const isOpen = !/^127\.|^::1$|^localhost$/.test(admin.listen.host);
  if (!isOpen || admin.token) return [];
  return [
    warning(
      `the admin port listens at ${admin.listen.host} without a token`,
      'clients of a reverse proxy on this machine count as loopback: they see paths and may end sessions',
      'admin: { tokenFile: /run/secrets/holdfast-admin }   # a text of 16 characters or more',
    ),
  ];
}
