/** Checks a client machine: its kernel, its mounts and their options, and the network path to the gateway. */
import { isAtLeast, kernelVersion } from '../kernel-version.ts';
import { knownOptions, shellWord } from '../mounter/options.ts';
import { MountTable, type Mount } from '../source/mount-table.ts';
import { kernelFindings } from './kernel.ts';
import { ok, problem, warning, type Finding } from './finding.ts';
import type { Machine } from './machine.ts';
import { isCifs, isNfs, optionsOf } from './mounts.ts';

export interface ClientQuestion {
  /** A gateway to check in addition to those that are mounted; at one port, or at the expected ones. */
  readonly server: { readonly host: string; readonly port?: number } | undefined;
  /** Expected ports of the gateway. */
  readonly ports: { readonly nfs: number; readonly smb: number; readonly admin: number };
}

/** Recommended read-ahead in KiB; the default of an NFS mount is 128. */
const readAhead = 1024;
/** Seconds within which a new entry should be visible. */
const freshness = 30;
/** Seconds by which the clocks may differ. */
const clockTolerance = 5;

const remount = ({ mountpoint }: Mount, option: string) =>
  `mount -o remount,${option} ${shellWord(mountpoint)}`;

/** The arguments of mount(8) with the recommended options, as far as the kernel knows them. */
function mountArguments(mount: Mount, release: string | undefined): string {
  const protocol = isCifs(mount) ? 'smb' : 'nfs';
  const known = knownOptions(protocol, portOf(mount), release);
  const options = protocol === 'smb' ? ['guest', ...known] : known;
  const type = protocol === 'smb' ? 'cifs' : 'nfs';
  return `-t ${type} -o ${options.join(',')} ${shellWord(mount.origin)} ${shellWord(mount.mountpoint)}`;
}

const again = (mount: Mount, release: string | undefined) =>
  `umount ${shellWord(mount.mountpoint)} && mount ${mountArguments(mount, release)}`;

export async function clientFindings(machine: Machine, question: ClientQuestion): Promise<Finding[]> {
  const release = await machine.read('/proc/sys/kernel/osrelease');
  const mounts = new MountTable((await machine.read('/proc/self/mountinfo')) ?? '');
  const remote = mounts.below('/').filter((mount) => isNfs(mount) || isCifs(mount));
  const findings = kernelFindings(release, remote.some(isCifs));
  if (remote.length === 0)
    findings.push(
      warning(
        'nothing is mounted here by NFS or SMB',
        'there is no mount to check; in a container the mounts of the host are not visible',
        'holdfast mount-options --host GATEWAY',
      ),
    );
  for (const mount of remote) {
    findings.push(
      ...(isNfs(mount) ? await nfsFindings(machine, mount, release) : cifsFindings(mount, release)),
    );
    findings.push(...propagationFindings(mount));
  }
  findings.push(...(await namespaceFindings(machine, remote, release)));
  findings.push(...(await pathFindings(machine, question, remote)));
  return findings;
}

async function nfsFindings(machine: Machine, mount: Mount, release: string | undefined): Promise<Finding[]> {
  const { mountpoint, bdi } = mount;
  const options = optionsOf(mount);
  const findings: Finding[] = [];
  const version = options.get('vers') ?? options.get('nfsvers') ?? '';
  if (mount.type === 'nfs4' || version.startsWith('4'))
    findings.push(
      problem(
        `${mountpoint} is mounted by NFSv4`,
        'Holdfast serves only NFSv3, so the server of this mount is another program',
        again(mount, release),
      ),
    );
  if (options.has('soft') || options.has('softerr'))
    findings.push(
      problem(
        `${mountpoint} is mounted soft`,
        'it returns errors instead of waiting: readers fail while the gateway restarts',
        again(mount, release),
      ),
    );
  const directories = Number(options.get('acdirmin') ?? options.get('actimeo') ?? 30);
  if (directories >= freshness && !options.has('noac'))
    findings.push(
      warning(
        `${mountpoint} caches attributes of folders for ${directories} s at least (acdirmin)`,
        'a new release is visible only after that time',
        again(mount, release),
      ),
    );
  const kilobytes = Number((await machine.read(`/sys/class/bdi/${bdi}/read_ahead_kb`)) ?? NaN);
  if (kilobytes < readAhead)
    findings.push(
      warning(
        `${mountpoint} reads ahead ${kilobytes} KiB`,
        'a sequential reader waits for a network round trip after each such piece',
        `echo ${readAhead} > /sys/class/bdi/${bdi}/read_ahead_kb`,
      ),
    );
  const kernel = kernelVersion(release);
  const connections = Number(options.get('nconnect') ?? 1);
  if (connections === 1 && kernel && isAtLeast(kernel, [5, 3]))
    findings.push(
      warning(
        `${mountpoint} uses one connection`,
        'all readers share it, and a slow answer delays those behind it',
        again(mount, release),
      ),
    );
  return findings.length > 0
    ? findings
    : [ok(`${mountpoint}: NFS ${version || '3'}, hard, ${kilobytes} KiB ahead`)];
}

function cifsFindings(mount: Mount, release: string | undefined): Finding[] {
  const { mountpoint } = mount;
  const options = optionsOf(mount);
  const findings: Finding[] = [];
  if (!options.has('hard'))
    findings.push(
      problem(
        `${mountpoint} is mounted soft, the default of cifs`,
        'it gives up after about ten seconds without a server: readers fail while the gateway restarts',
        remount(mount, 'hard'),
      ),
    );
  const echo = Number(options.get('echo_interval') ?? 60);
  if (echo > 20)
    findings.push(
      warning(
        `${mountpoint} asks every ${echo} s whether the server is alive (echo_interval)`,
        `a vanished gateway is detected only after ${3 * echo} s`,
        again(mount, release),
      ),
    );
  const attributes = Number(options.get('actimeo') ?? options.get('acdirmax') ?? 1);
  if (attributes >= freshness)
    findings.push(
      warning(
        `${mountpoint} keeps attributes for ${attributes} s (actimeo)`,
        'a new release is visible only after that time',
        remount(mount, 'actimeo=5'),
      ),
    );
  const close = Number(options.get('closetimeo') ?? 1);
  if (close > 60 && !isOlder(release, [6, 1]))
    findings.push(
      warning(
        `${mountpoint} keeps files open for ${close} s after they were closed (closetimeo)`,
        'this keeps their cached pages, which helps if they are read again; but each holds a handle at the gateway meanwhile',
        remount(mount, 'closetimeo=30'),
      ),
    );
  if ((options.get('vers') ?? '3').startsWith('1'))
    findings.push(
      problem(`${mountpoint} is mounted by SMB1`, 'Holdfast does not serve it', again(mount, release)),
    );
  return findings.length > 0 ? findings : [ok(`${mountpoint}: SMB ${options.get('vers') ?? ''}, hard`)];
}

function isOlder(release: string | undefined, wanted: readonly [number, number]): boolean {
  const version = kernelVersion(release);
  return version !== undefined && !isAtLeast(version, wanted);
}

/** A container sees a mount that was made after its start only if the mount propagates to it (shared subtrees). */
function propagationFindings({ mountpoint, shared, slave }: Mount): Finding[] {
  return shared || slave
    ? []
    : [
        warning(
          `${mountpoint} is a private mount`,
          'containers that started before it see neither this mount nor a later one that replaces it',
          `mount --make-rshared ${shellWord(mountpoint)}`,
        ),
      ];
}

/** A cifs mount uses the network namespace in which it was made, and loses its connection when that ends. */
async function namespaceFindings(
  machine: Machine,
  remote: readonly Mount[],
  release: string | undefined,
): Promise<Finding[]> {
  const [own, hosts] = await Promise.all([machine.link('/proc/self/ns/net'), machine.link('/proc/1/ns/net')]);
  if (own === undefined || hosts === undefined || own === hosts) return [];
  const [mount] = remote.filter(isCifs);
  if (!mount) return [];
  return [
    warning(
      'this is not the network namespace of process 1, and there is a cifs mount',
      'a mount made in the network namespace of a container permanently loses its connection when the container ends',
      `nsenter --net=/proc/1/ns/net -- mount ${mountArguments(mount, release)}`,
    ),
  ];
}

const portOf = (mount: Mount): number => Number(optionsOf(mount).get('port') || (isCifs(mount) ? 445 : 2049));

/** Host and port of the server of a mount. */
function targetOf(mount: Mount): { host: string; port: number } | undefined {
  const host =
    optionsOf(mount).get('addr') ||
    /^\/\/([^/]+)/.exec(mount.origin)?.[1] ||
    /^\[?([^\]]+?)\]?:\//.exec(mount.origin)?.[1];
  if (host === undefined || host === '') return undefined;
  return { host, port: portOf(mount) };
}

async function pathFindings(
  machine: Machine,
  { server, ports }: ClientQuestion,
  remote: readonly Mount[],
): Promise<Finding[]> {
  const targets = new Map<string, { host: string; port: number; isMounted: boolean }>();
  for (const mount of remote) {
    const target = targetOf(mount);
    if (target) targets.set(`${target.host} ${target.port}`, { ...target, isMounted: true });
  }
  if (server !== undefined)
    for (const port of server.port === undefined ? [ports.nfs, ports.smb] : [server.port])
      if (!targets.has(`${server.host} ${port}`))
        targets.set(`${server.host} ${port}`, { host: server.host, port, isMounted: false });
  const findings = await Promise.all([...targets.values()].map((target) => reachFindings(machine, target)));
  const hosts = new Set([...targets.values()].map(({ host }) => host));
  const clocks = await Promise.all([...hosts].map((host) => clockFindings(machine, host, ports.admin)));
  // A name without an address is found once for each port.
  const unique = new Map([...findings.flat(), ...clocks.flat()].map((one) => [one.what, one]));
  return [...unique.values()];
}

/** Codes of getaddrinfo(3): the name has no address, or no server could tell. */
const unresolved = ['ENOTFOUND', 'EAI_AGAIN'];

async function reachFindings(
  machine: Machine,
  { host, port, isMounted }: { host: string; port: number; isMounted: boolean },
): Promise<Finding[]> {
  try {
    const { ms, localAddress } = await machine.reach(host, port);
    const findings = [ok(`${host} accepts connections at port ${port}, after ${ms.toFixed(1)} ms`)];
    const card = machine.cardOf(localAddress);
    const mtu = Number((await machine.read(`/sys/class/net/${card ?? ''}/mtu`)) ?? NaN);
    if (card !== 'lo' && mtu > 1500)
      findings.push(
        warning(
          `the network path to ${host} begins at ${card!} with an MTU of ${mtu}`,
          'if any hop on the path has a smaller MTU, small requests work but large reads hang',
          `ping -M do -s ${mtu - 28} ${host}`,
        ),
      );
    return findings;
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException;
    if (unresolved.includes(code))
      return [
        problem(
          `the name ${host} has no address (${code})`,
          'nothing can be mounted from it',
          `getent hosts ${host}   # nothing: correct the name, DNS or /etc/hosts; or use an address`,
        ),
      ];
    const what = `${host} does not accept connections at port ${port} (${message})`;
    const why = isMounted ? 'its mount waits' : 'its exports cannot be mounted by that protocol';
    return [
      problem(
        what,
        why,
        `nc -vz ${host} ${port}   # then look at firewalls, NetworkPolicy, and the gateway's log`,
      ),
    ];
  }
}

async function clockFindings(machine: Machine, host: string, port: number): Promise<Finding[]> {
  const theirs = await machine.clockOf(`http://${host.includes(':') ? `[${host}]` : host}:${port}/livez`);
  // The port is closed to other machines by default.
  if (theirs === undefined) return [];
  const seconds = Math.round((Date.now() - theirs) / 1000);
  if (Math.abs(seconds) <= clockTolerance)
    return [ok(`the clock of ${host} is right to ${clockTolerance} s`)];
  return [
    warning(
      `the clocks of this machine and of ${host} differ by ${Math.abs(seconds)} s`,
      'dates of new files seem to be in the future or in the past, and media managers use them to sort and decide',
      'timedatectl set-ntp true',
    ),
  ];
}
