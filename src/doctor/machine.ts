/** The doctor's access to the machine; replaced in tests. It never accesses a mount, as a dead mount hangs. */
import { access, constants, readFile, readlink, stat } from 'node:fs/promises';
import { createServer, connect } from 'node:net';
import { networkInterfaces } from 'node:os';

export interface Reached {
  /** How long connecting took, ms. */
  readonly ms: number;
  /** This machine's address on the connection. */
  readonly localAddress: string;
}

export interface Machine {
  readonly uid: number;
  readonly env: NodeJS.ProcessEnv;
  /** Text of a file in /proc or /sys, or of a configuration; undefined if it cannot be read. */
  read(path: string): Promise<string | undefined>;
  /** Target of a symlink; undefined if it cannot be read. */
  link(path: string): Promise<string | undefined>;
  /** Permission bits; undefined if stat(2) fails. */
  mode(path: string): Promise<number | undefined>;
  /** Whether this process may open the file for reading and writing. */
  mayUse(path: string): Promise<boolean>;
  /** Opens a TCP connection and closes it. Rejects with the system's error. */
  reach(host: string, port: number): Promise<Reached>;
  /** Tries to listen at a port. Resolves with the error code if it cannot, such as `EADDRINUSE` or `EACCES`. */
  tryPort(host: string, port: number): Promise<string | undefined>;
  /** Name of the network interface with this address. */
  cardOf(address: string): string | undefined;
  /** The clock of an HTTP server, in ms since 1970, from its Date header; undefined if it does not answer. */
  clockOf(url: string): Promise<number | undefined>;
}

/** How long a server may take to accept a connection, ms. */
const patience = 5_000;

const undefinedIfNone = <T>(promise: Promise<T>): Promise<T | undefined> => promise.catch(() => undefined);

export function thisMachine(env: NodeJS.ProcessEnv): Machine {
  return {
    uid: process.getuid?.() ?? 0,
    env,
    read: (path) => undefinedIfNone(readFile(path, 'utf8')),
    link: (path) => undefinedIfNone(readlink(path)),
    mode: (path) => undefinedIfNone(stat(path).then(({ mode }) => mode & 0o7777)),
    mayUse: (path) =>
      access(path, constants.R_OK | constants.W_OK).then(
        () => true,
        () => false,
      ),
    reach,
    tryPort,
    cardOf,
    clockOf: async (url) => {
      const response = await undefinedIfNone(fetch(url, { signal: AbortSignal.timeout(patience) }));
      const date = Date.parse(response?.headers.get('date') ?? '');
      return Number.isNaN(date) ? undefined : date;
    },
  };
}

function reach(host: string, port: number): Promise<Reached> {
  return new Promise((resolve, reject) => {
    const since = performance.now();
    const socket = connect({ host, port });
    socket.setTimeout(patience, () => socket.destroy(new Error(`no answer in ${patience / 1000} s`)));
    socket.once('error', reject);
    socket.once('connect', () => {
      resolve({ ms: performance.now() - since, localAddress: socket.localAddress ?? '' });
      socket.destroy();
    });
  });
}

function tryPort(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code ?? 'unknown error'));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

function cardOf(address: string): string | undefined {
  const plain = address.replace(/^::ffff:/, '');
  const found = Object.entries(networkInterfaces()).find(([, list]) =>
    list?.some((one) => one.address === plain),
  );
  return found?.[0];
}
