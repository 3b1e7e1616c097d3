/** Streams: real clients read whole files from beginning to end, and every byte is compared. */
import { spawn } from 'node:child_process';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { firstDifference } from '../../src/demo/content.ts';
import { consumerProgram, type Seen } from '../faults/consumer.ts';
import type { KernelClient } from '../kit/uml.ts';
import { seedOf } from './library.ts';
import { ports, type Place } from './place.ts';
import { LOOPBACK } from './sandbox.ts';

/** The reader: a Linux kernel's NFS or cifs client, libnfs, Samba's client, or a local process on the daemon's mount. */
export type Client = 'kernel NFS' | 'kernel cifs' | 'libnfs' | 'smbclient' | 'local';
export const networkClients = ['kernel NFS', 'kernel cifs', 'libnfs', 'smbclient'] as const;

/** The result of one stream. */
export interface Streamed {
  readonly client: Client;
  readonly path: string;
  readonly bytes: number;
  /** The offset of the first wrong byte (kernel and local: page), or -1. */
  readonly wrongAt: number;
  /** Another error, or empty. */
  readonly error: string;
  /** The longest time without a byte. */
  readonly longestMs: number;
}

export interface Stream {
  /** Resolves when `mark` bytes have been read, or at the stream's end if that is earlier. */
  readonly underWay: Promise<void>;
  readonly done: Promise<Streamed>;
}

interface StreamOptions {
  readonly client: Client;
  readonly path: string;
  readonly size: number;
  /** Bytes after which {@link Stream.underWay} resolves. */
  readonly mark: number;
}

/** Time limit of a stream, including an interruption and a busy machine. */
const LONGEST_MS = 240_000;

/** The mountpoints in the guest. */
export const MOUNTS = { 'kernel NFS': '/mnt/nfs', 'kernel cifs': '/mnt/smb' } as const;

/** Mounts the tree in the guest, with the options that `holdfast mount-options` recommends. */
export async function mountInGuest(client: KernelClient): Promise<void> {
  copyFileSync(consumerProgram(), join(client.folder, 'consumer'));
  await client.mountNfs({
    ...{ port: ports.nfs, export: '/dfs', mountpoint: MOUNTS['kernel NFS'] },
    options: 'hard,acdirmin=1,acdirmax=5,nconnect=4',
  });
  await client.mountCifs({
    ...{ port: ports.smb, share: 'dfs', mountpoint: MOUNTS['kernel cifs'] },
    options:
      'guest,username=guest,hard,vers=3.1.1,echo_interval=10,actimeo=5,closetimeo=30,rsize=1048576,iocharset=utf8',
  });
}

/** Starts to read the file at `path` of the tree. */
export function startStream(place: Place, options: StreamOptions): Stream {
  switch (options.client) {
    case 'kernel NFS':
    case 'kernel cifs':
      return inGuest(place.client!, MOUNTS[options.client], options);
    case 'libnfs': {
      const query = `version=3&nfsport=${String(ports.nfs)}&mountport=${String(ports.nfs)}`;
      return piped(place, options, ['nfs-cat', `nfs://${LOOPBACK}/dfs${options.path}?${query}`]);
    }
    case 'smbclient': {
      const flags = ['--configfile=/dev/null', '--no-pass', `--port=${String(ports.smb)}`, '--timeout=600'];
      const get = `get "${options.path.slice(1).replaceAll('/', '\\')}" /dev/fd/3`;
      // smbclient also prints messages to its standard output, so the file gets a separate pipe.
      const apart = ['bash', '-o', 'pipefail', '-c', '"$@" 3>&1 >&2 | cat', 'bash'];
      return piped(place, options, [...apart, 'smbclient', ...flags, `//${LOOPBACK}/dfs`, '-c', get]);
    }
    case 'local':
      return locally(place, options);
  }
}

function inGuest(client: KernelClient, mountpoint: string, options: StreamOptions): Stream {
  const { path, size, mark } = options;
  const words = [`seed='${seedOf(path)}'`, `size=${String(size)}`, 'mark=way', `at=${String(mark)}`];
  const job = client.spawn(`/host/consumer read '${mountpoint}${path}' ${words.join(' ')}`);
  const done = job.result.then(({ code, stdout, stderr }) => {
    if (code !== 0) throw new Error(`the consumer ended with ${String(code)}: ${stderr}`);
    return consumed(options, stdout);
  });
  return bounded(options, { underWay: job.marked('way').catch(() => undefined), done }, () =>
    job.kill('KILL'),
  );
}

/** Converts the report of the fault suite's consumer program. */
function consumed({ client, path }: StreamOptions, report: string): Streamed {
  const { bytes, wrongAt, errors, longestMs } = JSON.parse(report) as Seen;
  const error = errors.map(({ call, error: name, at }) => `${call} ${name} at ${String(at)}`).join(', ');
  return { client, path, bytes, wrongAt, error, longestMs };
}

/** Reads the file locally with the consumer program. */
function locally(place: Place, options: StreamOptions): Stream {
  const file = `${place.daemon.mountpoint}${options.path}`;
  const args = ['read', file, `seed=${seedOf(options.path)}`, `size=${String(options.size)}`];
  const done = place.sandbox.run(consumerProgram(), args, LONGEST_MS).then(({ code, stdout, text }) => {
    if (code !== 0) throw new Error(`the consumer ended with ${String(code)}: ${text}`);
    return consumed(options, stdout);
  });
  return bounded(options, { underWay: Promise.resolve(), done }, () => undefined);
}

/** A client that writes the file to its standard output. */
function piped(place: Place, options: StreamOptions, command: readonly string[]): Stream {
  const { client, path, size, mark } = options;
  const seed = seedOf(path);
  const [nsenter, ...enter] = place.sandbox.enter;
  const child = spawn(nsenter!, [...enter, ...command], { stdio: ['ignore', 'pipe', 'pipe'] });
  let bytes = 0;
  let wrongAt = -1;
  let longestMs = 0;
  let last = performance.now();
  let complaint = '';
  let pass: () => void = () => undefined;
  const underWay = new Promise<void>((resolve) => {
    pass = resolve;
  });
  child.stderr.on('data', (text: Buffer) => {
    if (complaint.length < 2000) complaint += text.toString();
  });
  child.stdout.on('data', (part: Buffer) => {
    const now = performance.now();
    longestMs = Math.max(longestMs, now - last);
    last = now;
    if (wrongAt < 0) {
      const difference = firstDifference(seed, bytes, part);
      if (difference >= 0) wrongAt = bytes + difference;
    }
    bytes += part.length;
    if (bytes >= mark) pass();
  });
  const done = new Promise<Streamed>((resolve) => {
    child.on('close', (code) => {
      pass();
      const wrongs = [
        ...(code === 0 ? [] : [`exit code ${String(code)}: ${complaint.trim().split('\n').at(-1) ?? ''}`]),
        ...(bytes === size ? [] : [`${String(bytes)} of ${String(size)} bytes`]),
      ];
      resolve({ client, path, bytes, wrongAt, error: wrongs.join(', '), longestMs });
    });
  });
  return bounded(options, { underWay, done }, () => child.kill('SIGKILL'));
}

/** Ends a stream that takes longer than `LONGEST_MS`; that is a result too. */
function bounded({ client, path }: StreamOptions, stream: Stream, kill: () => void): Stream {
  const enough = new AbortController();
  const late = delay(LONGEST_MS, undefined, { signal: enough.signal }).then(() => {
    kill();
    const error = `no end within ${String(LONGEST_MS / 1000)} s`;
    return { client, path, bytes: 0, wrongAt: -1, error, longestMs: LONGEST_MS };
  });
  late.catch(() => undefined);
  const done = Promise.race([stream.done, late]).finally(() => enough.abort());
  done.catch(() => undefined);
  const either = Promise.race([stream.underWay, late.catch(() => stream.underWay)]);
  return { underWay: either.then(() => undefined), done };
}

export const isWhole = ({ wrongAt, error }: Streamed) => wrongAt < 0 && error === '';

/** A short description of a stream's result. */
export function verdict(one: Streamed): string {
  if (isWhole(one)) return 'whole';
  const parts = [one.wrongAt < 0 ? '' : `wrong at ${String(one.wrongAt)}`, one.error].filter(Boolean);
  return `${one.client}: ${parts.join('; ')}`;
}
