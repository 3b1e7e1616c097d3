/** The recommended mount options of the kernel's NFS and SMB clients. All commands use these lists. */
import { release } from 'node:os';
import { isAtLeast, kernelVersion, type KernelVersion } from '../kernel-version.ts';

/**
 * `port` and `mountport`: no portmapper is needed. `nolock`: there is no lock manager. `hard`: clients wait during an outage
 * instead of failing. `acdirmin`, `acdirmax`: a new entry is visible within seconds.
 */
export const nfsOptions = (port: number): string[] => [
  'nfsvers=3',
  'proto=tcp',
  `port=${port}`,
  `mountport=${port}`,
  'mountproto=tcp',
  'nolock',
  'hard',
  'acdirmin=1',
  'acdirmax=5',
  'nconnect=4',
  'ro',
];

/**
 * `hard`: the default gives up after ten seconds without a server. `echo_interval`: detects a lost server sooner. `closetimeo`:
 * keeps a file's cached pages after its last close. `rsize`: the first bytes of a file need not wait for a read of 4 MiB.
 * `iocharset`: names may be other than ASCII, whatever the kernel's default is.
 */
export const smbOptions = (port: number): string[] => [
  'hard',
  'vers=3.1.1',
  'echo_interval=10',
  'actimeo=5',
  'closetimeo=30',
  'rsize=1048576',
  'iocharset=utf8',
  `port=${port}`,
  'ro',
];

/** The first kernel that knows an option. Older kernels refuse a mount with an unknown option. */
const knownSince: ReadonlyMap<string, KernelVersion> = new Map([
  ['nconnect', [5, 3]],
  ['closetimeo', [6, 0]],
]);

export type MountProtocol = 'nfs' | 'smb';

/**
 * The recommended options that a kernel knows.
 * @param kernel its release, as printed by `uname -r`. If unknown, options that need a certain release are left out.
 */
export function knownOptions(protocol: MountProtocol, port: number, kernel: string | undefined): string[] {
  const version = kernelVersion(kernel);
  const options = protocol === 'nfs' ? nfsOptions(port) : smbOptions(port);
  return options.filter((option) => {
    const since = knownSince.get(key(option));
    return since === undefined || (version !== undefined && isAtLeast(version, since));
  });
}

/** Neither may contain a comma: it separates mount options, and mount programs differ in how to escape it. */
export interface Credentials {
  readonly user: string;
  readonly password: string;
}

/** What to mount, without the server's current address. */
export interface Share {
  readonly protocol: MountProtocol;
  /** Export name. */
  readonly name: string;
  readonly port: number;
  /** Additional options. They override recommended options of the same name. */
  readonly options: readonly string[];
  /** SMB only. Default: guest. */
  readonly credentials?: Credentials | undefined;
}

/** Arguments of mount(2). */
export interface KernelMount {
  readonly type: 'nfs' | 'cifs';
  readonly origin: string;
  readonly options: readonly string[];
}

/**
 * The arguments of mount(2), as mount.nfs and mount.cifs would make them. Those programs would resolve the name and add the
 * address; as the address is known here, they are not needed.
 * @param address IPv4 or IPv6, without brackets.
 * @param kernel kernel release, as printed by `uname -r`.
 */
export function kernelMount(share: Share, address: string, kernel = release()): KernelMount {
  const { protocol, name, port, options, credentials } = share;
  const known = knownOptions(protocol, port, kernel);
  if (protocol === 'nfs')
    return {
      type: 'nfs',
      origin: `${bracketed(address)}:/${name}`,
      options: [...override(known, options), `addr=${address}`, `mountaddr=${address}`, 'mountvers=3'],
    };
  const identity = credentials
    ? [`username=${credentials.user}`, `password=${credentials.password}`]
    : ['guest', 'username=guest'];
  return {
    type: 'cifs',
    origin: `//${address}/${name}`,
    options: [...identity, ...override(known, options), `ip=${address}`],
  };
}

/** Whether a mounted filesystem is this share, at any address. */
export function isShare({ protocol, name }: Share, mounted: { type: string; origin: string }): boolean {
  if (protocol === 'nfs') return /^nfs4?$/.test(mounted.type) && mounted.origin.endsWith(`:/${name}`);
  return /^(?:cifs|smb3)$/.test(mounted.type) && /^\/\/[^/]+\/(.*)$/.exec(mounted.origin)?.[1] === name;
}

/** The server address of a mounted filesystem. Both clients show it in the mount options. */
export const addressOf = (options: string): string | undefined => /(?:^|,)addr=([^,]+)/.exec(options)?.[1];

const key = (option: string) => option.split('=', 1)[0]!;

/** `soft` and `hard`, `ro` and `rw` exclude each other. */
const opposites: Readonly<Record<string, string>> = { soft: 'hard', rw: 'ro', vers: 'nfsvers' };

function override(recommended: readonly string[], own: readonly string[]): string[] {
  const keys = new Set(own.flatMap((option) => [key(option), opposites[key(option)] ?? '']));
  return [...recommended.filter((option) => !keys.has(key(option))), ...own];
}

const bracketed = (address: string) => (address.includes(':') ? `[${address}]` : address);

/** fstab(5): white space and backslashes as octal. */
export function tableField(text: string): string {
  return text.replace(/[\s\\]/g, (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`);
}

/** Quotes a text as one word for the shell, if needed. */
export const shellWord = (text: string): string =>
  /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
