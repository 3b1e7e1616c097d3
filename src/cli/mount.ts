import { readFile } from 'node:fs/promises';
import { posix } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseEndpoint } from '../config/index.ts';
import { createLogger, logLevels, type LogLevel } from '../log/index.ts';
import type { MountProtocol, Share } from '../mounter/index.ts';
import { ExitCode, UsageError, type Command, type Invocation, type Terminal } from './command.ts';
import { cannotRead } from './file-problem.ts';
import { exportNameOf, seconds, serverOf } from './flags.ts';
import { explainListen } from './listen-error.ts';
import { untilSignal } from './signal.ts';
import { version } from '../version.ts';

/** Default ports of the gateway. */
const ports: Readonly<Record<MountProtocol, number>> = { nfs: 2049, smb: 445 };
/** Defaults in seconds. */
const interval = 5;
const probeTimeout = 10;
/** How long a running check may delay the end of the program, in ms. */
const lookTimeout = 10_000;

export const mount: Command = {
  name: 'mount',
  usage: '--server HOST --at FOLDER [options]',
  summary: 'keep an export mounted on this node, for all its containers',
  description: `Mounts an export at FOLDER with the kernel's NFS or SMB client, and monitors the mount. Run it in a DaemonSet
on each Kubernetes node, or as a service of a host. It resolves the name in its own network namespace; the
mount itself belongs to the host's. While the gateway is absent, the mount waits. It is replaced if it fails
while a new mount answers, or if the name has another address. Give containers the folder above FOLDER with
mountPropagation: HostToContainer, so that they see a new mount that replaces an old one. While the mount is
absent, FOLDER answers with an error, so that programs never take it for an empty library.
At SIGTERM or SIGINT FOLDER is unmounted, or left mounted for the next process (--leave).
Needs root, and the programs mount, umount, stat and nsenter: those of busybox or util-linux are enough.`,
  positionals: { names: [], required: 0 },
  flags: [
    { name: 'server', value: 'HOST[:PORT]', help: 'name or address of the gateway (port 2049 or 445)' },
    { name: 'at', value: 'FOLDER', help: 'where to mount: an absolute path, created if it does not exist' },
    { name: 'name', value: 'NAME', help: 'the export: NFS path /NAME, SMB share NAME (default dfs)' },
    { name: 'protocol', value: 'PROTOCOL', help: 'nfs (default) or smb' },
    { name: 'credentials', value: 'FILE', help: 'SMB: lines username=NAME, password=WORD (default: guest)' },
    {
      name: 'options',
      value: 'LIST',
      help: 'mount options in addition to, or in place of, the recommended ones',
    },
    {
      name: 'read-ahead',
      value: 'KIB',
      help: 'NFS: how much the kernel reads ahead (default: 128, the kernel’s)',
    },
    {
      name: 'netns',
      value: 'PATH',
      help: 'network namespace of the mount (default /proc/1/ns/net: the host’s)',
    },
    { name: 'interval', value: 'SECONDS', help: `time between two checks (default ${interval})` },
    {
      name: 'probe-timeout',
      value: 'SECONDS',
      help: `after which a mount counts as slow (default ${probeTimeout})`,
    },
    { name: 'leave', help: 'do not unmount at the end: the next process takes over the mount' },
    { name: 'no-guard', help: 'do not protect the empty folder below the mount' },
    {
      name: 'admin',
      value: 'HOST:PORT',
      help: 'listen for health and metrics over HTTP (default 127.0.0.1:9446)',
    },
    { name: 'log-level', value: 'LEVEL', help: 'fatal, error, warn, info (default), debug, trace or silent' },
  ],
  examples: [
    ['holdfast mount --server 10.43.7.9 --at /mnt/decypharr/dfs', 'over NFS'],
    [
      'holdfast mount --server gateway.media.svc --at /mnt/decypharr/dfs --protocol smb --leave',
      'in a DaemonSet',
    ],
  ],

  async run(invocation, terminal) {
    const settings = settingsOf(invocation, terminal);
    const stopped = untilSignal(['SIGTERM', 'SIGINT']);
    const { Address, Mounter, MountNode, parseCredentials, serveMounter } =
      await import('../mounter/index.ts');
    const { share, host, at } = settings;
    const credentials =
      settings.credentials === undefined
        ? undefined
        : await credentialsOf(settings.credentials, parseCredentials);
    if (process.geteuid?.() !== 0)
      throw new Error('holdfast mount needs root: start it with sudo, or as a service of the system');
    const log = createLogger(settings.logLevel);
    const node = await MountNode.in(settings.netns);
    if (await node.isFile(at)) throw new UsageError(`--at: ${at} is a file; expected a folder`);
    const mounter = new Mounter(
      { ...settings, share: { ...share, credentials } },
      node,
      new Address(host, log),
      log,
    );
    const facts = { version: version(), protocol: share.protocol, server: host, at };
    const server = await serveMounter(mounter, facts, settings.admin).catch((error: unknown) => {
      const { code = 'unknown error' } = error as NodeJS.ErrnoException;
      const place = { server: 'health', ...settings.admin, otherwise: '--admin HOST:PORT' };
      throw new Error(explainListen(code, place), { cause: error });
    });
    log.info({ ...settings.admin }, 'health and metrics');

    const ending = new AbortController();
    const looking = keepLooking(mounter, settings.intervalMs, ending.signal);
    const signal = await stopped;
    log.info({ signal, leave: settings.leave }, 'asked to stop');
    ending.abort();
    await Promise.race([looking, delay(lookTimeout)]);
    if (!settings.leave) await mounter.end();
    server.close();
    server.closeAllConnections();
    // Exit even if a child process still hangs at the mount.
    setImmediate(() => process.exit(ExitCode.done));
    return ExitCode.done;
  },
};

interface Settings {
  readonly share: Share;
  readonly host: string;
  readonly at: string;
  readonly staging: string;
  readonly credentials: string | undefined;
  readonly netns: string;
  readonly intervalMs: number;
  readonly probeTimeoutMs: number;
  readonly readAhead: number | undefined;
  readonly guard: boolean;
  readonly leave: boolean;
  readonly admin: { readonly host: string; readonly port: number };
  readonly logLevel: LogLevel;
}

function settingsOf(invocation: Invocation, { env }: Terminal): Settings {
  const protocol = invocation.text('protocol') ?? 'nfs';
  if (protocol !== 'nfs' && protocol !== 'smb')
    throw new UsageError(`--protocol: ${protocol} is neither nfs nor smb`);
  const credentials = invocation.text('credentials');
  if (credentials !== undefined && protocol === 'nfs')
    throw new UsageError('--credentials needs --protocol smb: NFS has no passwords');
  if (invocation.has('read-ahead') && protocol === 'smb')
    throw new UsageError('--read-ahead needs --protocol nfs: for SMB use --options rasize=BYTES');
  const { host, port = ports[protocol] } = serverOf(required(invocation, 'server'));
  const at = folder(required(invocation, 'at'));
  const name = exportNameOf(invocation);
  const options = (invocation.text('options') ?? '').split(',').filter((option) => option !== '');
  const adminText = invocation.text('admin') ?? '127.0.0.1:9446';
  const admin = parseEndpoint(adminText);
  if (!admin) throw new UsageError(`--admin: ${adminText} is not HOST:PORT`);
  const level = invocation.text('log-level') ?? env['HOLDFAST_LOG_LEVEL'] ?? 'info';
  const logLevel = logLevels.find((one) => one === level);
  if (!logLevel) throw new UsageError(`--log-level: ${level} is not one of ${logLevels.join(', ')}`);
  return {
    share: { protocol, name, port, options },
    host,
    at,
    staging: `/run/holdfast/mount${at.replaceAll('/', '-')}`,
    credentials,
    netns: invocation.text('netns') ?? '/proc/1/ns/net',
    intervalMs: seconds(invocation, 'interval', interval, 0.5) * 1000,
    probeTimeoutMs: seconds(invocation, 'probe-timeout', probeTimeout, 0.5) * 1000,
    readAhead: kib(invocation.text('read-ahead')),
    guard: !invocation.has('no-guard'),
    leave: invocation.has('leave'),
    admin,
    logLevel,
  };
}

function required(invocation: Invocation, flag: string): string {
  const text = invocation.text(flag);
  if (text === undefined) throw new UsageError(`--${flag} is missing; see holdfast mount --help`);
  return text;
}

function folder(text: string): string {
  const path = posix.normalize(text).replace(/\/$/, '');
  if (!path.startsWith('/') || path.length < 2)
    throw new UsageError(`--at: ${text} is not the absolute path of a folder`);
  return path;
}

function kib(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = /^\d{1,6}$/.test(text) ? Number(text) : NaN;
  if (!(value >= 4)) throw new UsageError(`--read-ahead: ${text} is not a number of KiB from 4 to 999999`);
  return value;
}

async function credentialsOf<T>(file: string, parse: (text: string) => T): Promise<T> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw new UsageError(`--credentials: ${cannotRead(file, error)}`, { cause: error });
  }
  try {
    return parse(text);
  } catch (error) {
    throw new UsageError(`--credentials: ${file}: ${(error as Error).message}`, { cause: error });
  }
}

/** Checks the mount periodically until the signal aborts. Never rejects. */
async function keepLooking(
  mounter: { look(): Promise<void> },
  intervalMs: number,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await mounter.look();
    await delay(intervalMs, undefined, { signal }).catch(() => undefined);
  }
}
